using System.Text;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>In which order the lines of a batch run.</summary>
public sealed class BatchOrderTests
{
    [Fact]
    public async Task Lines_that_begin_alike_run_together_and_each_keeps_its_name()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: ("Batches:MaxAtOnce", 1));
        string[] subjects = ["apples", "pears", "plums"];
        var lines = Enumerable.Range(0, 12).Select(number => Line($"n{number}").Replace($"\"content\":\"n{number}\"", $"\"content\":\"All about {subjects[number % 3]}: {number:D2}\"", StringComparison.Ordinal));
        var batch = await CreateAsync(files, [.. lines]);

        var asked = new List<string>();
        for (var line = 0; line < 12; line++) asked.Add(Encoding.UTF8.GetString((await AnswerAsync(files)).Body.Span));

        asked.Select(body => subjects.Single(subject => body.Contains(subject, StringComparison.Ordinal))).ShouldBe(subjects.SelectMany(subject => Enumerable.Repeat(subject, 4)));
        var ended = await UntilAsync(files, batch, "completed");
        (await NamesAsync(files, ended["output_file_id"])).Order(StringComparer.Ordinal).ShouldBe(Enumerable.Range(0, 12).Select(number => $"n{number}").Order(StringComparer.Ordinal));
    }
}

using System.Text;
using Serverless.Catalog;
using Serverless.Gateway.Admission;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed class ApiPageTests
{
    private static readonly string[][] Rows = [.. Page.Rows("api.md").Where(row => row.Length == 5 && row[0].StartsWith('`'))];

    private static readonly Model Model = new()
    {
        Name = new ModelName("m"),
        Family = "test",
        Source = new ModelSource("host", "m"),
        ContextTokens = 100,
        Backend = "in-process",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
    };

    [Fact]
    public void Every_field_that_is_read_is_on_the_page()
    {
        Names(1).ShouldBe(ChatFields.All.Keys.Order(StringComparer.Ordinal));
        Names(2).ShouldBe(CompletionFields.All.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Each_example_is_taken_or_refused_as_the_page_says()
    {
        foreach (var row in Rows.Where(row => row[3].Length > 0))
        {
            foreach (var field in Page.Code(row[0]))
            {
                if (row[1].Length > 0) Check(EndpointName.ChatCompletions, "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]", field, row, refused: row[4].StartsWith("refused", StringComparison.Ordinal) || field == "echo");
                if (row[2].Length > 0) Check(EndpointName.Completions, "\"prompt\":\"hi\"", field, row, refused: row[4].StartsWith("refused", StringComparison.Ordinal));
            }
        }
    }

    private static void Check(EndpointName endpoint, string prompt, string field, string[] row, bool refused)
    {
        var body = Encoding.UTF8.GetBytes($"{{\"model\":\"m\",{prompt},\"{field}\":{row[3].Trim('`')}}}");

        var fault = Capabilities.Check(TestEngines.Table, Model, body, BodyParser.Parse(endpoint, body).Asked);

        (fault?.Param?.StartsWith(field, StringComparison.Ordinal) ?? false).ShouldBe(refused, $"{endpoint} {field}: {row[4]}");
    }

    private static IEnumerable<string> Names(int column) => Rows.Where(row => row[column].Length > 0).SelectMany(row => Page.Code(row[0])).Order(StringComparer.Ordinal);
}

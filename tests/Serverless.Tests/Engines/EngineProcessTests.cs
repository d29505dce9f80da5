using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Serverless.Hosting.Engines.Processes;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>An engine as a child of this process.</summary>
public sealed class EngineProcessTests
{
    [Fact]
    public async Task The_end_of_what_it_wrote_is_kept_and_told_when_it_goes_unasked()
    {
        var log = new FakeLogger();
        await using var process = await EngineProcess.StartAsync("/bin/sh", ["-c", "for i in $(seq 50); do echo line $i; done; echo no card >&2; exit 3"], TimeProvider.System, log);

        await process.Exited.WithinLimitAsync();
        await process.DisposeAsync();

        process.LastLines.Split('\n').ShouldBe([.. Enumerable.Range(31, 20).Select(line => $"line {line}"), "no card"]);
        log.Collector.GetSnapshot().ShouldContain(record => record.Message.Contains("sh ended with 3, unasked"));
    }

    [Fact]
    public async Task Put_away_it_goes_and_whatever_it_began_with_it()
    {
        var log = new FakeLogger();
        var process = await EngineProcess.StartAsync("/bin/sh", ["-c", "sleep 1000 & echo $!; wait"], TimeProvider.System, log);
        while (process.LastLines.Length == 0) await Task.Yield();
        var child = int.Parse(process.LastLines, System.Globalization.CultureInfo.InvariantCulture);
        Directory.Exists($"/proc/{child}").ShouldBeTrue();

        await process.DisposeAsync();

        IsGone(child).ShouldBeTrue();
        log.Collector.GetSnapshot().ShouldNotContain(record => record.Message.Contains("unasked"));
    }

    /// <summary>As workers of engines do: in a group of its own, in a session of its own.</summary>
    [Theory]
    [InlineData("set -m; sleep 1000 & echo $!; wait")]
    [InlineData("setsid sh -c 'echo $$; exec sleep 1000' & wait")]
    public async Task Whatever_began_a_group_or_session_of_its_own_goes_too(string script)
    {
        var process = await EngineProcess.StartAsync("/bin/bash", ["-c", script], TimeProvider.System, new FakeLogger());
        while (process.LastLines.Length == 0) await Task.Yield();
        var child = int.Parse(process.LastLines, System.Globalization.CultureInfo.InvariantCulture);

        await process.DisposeAsync();

        IsGone(child).ShouldBeTrue();
    }

    /// <summary>The engine went by itself, and what it began is still there: with its card's memory, perhaps.</summary>
    [Fact]
    public async Task What_it_left_behind_in_a_group_of_its_own_goes_when_it_is_put_away()
    {
        var process = await EngineProcess.StartAsync("/bin/bash", ["-c", "set -m; sleep 1000 & echo $!; kill -KILL $$"], TimeProvider.System, new FakeLogger());
        await process.Exited.WithinLimitAsync();
        var child = int.Parse(process.LastLines, System.Globalization.CultureInfo.InvariantCulture);

        await process.DisposeAsync();

        IsGone(child).ShouldBeTrue();
    }

    /// <summary>Nobody can tell any more whose it is: it keeps nobody from putting the engine away.</summary>
    [Fact]
    public async Task What_got_away_from_all_of_that_does_not_hold_up_the_end()
    {
        var process = await EngineProcess.StartAsync("/bin/bash", ["-c", "setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.5; kill -KILL $$"], TimeProvider.System, new FakeLogger());
        await process.Exited.WithinLimitAsync();
        using var away = System.Diagnostics.Process.GetProcessById(int.Parse(process.LastLines, System.Globalization.CultureInfo.InvariantCulture));
        try
        {
            await process.DisposeAsync().AsTask().WithinLimitAsync();
        }
        finally
        {
            away.Kill();
        }
    }

    [Fact]
    public async Task A_program_that_cannot_be_run_says_so()
    {
        await using var process = await EngineProcess.StartAsync("/nowhere/llama-server", [], TimeProvider.System, NullLogger.Instance);

        await process.Exited.WithinLimitAsync();
        await process.DisposeAsync();

        process.LastLines.ShouldContain("No such file");
    }

    [Fact]
    public void A_program_is_found_by_its_path_or_on_the_PATH()
    {
        EngineProcess.Find("sh").ShouldNotBeNull().ShouldEndWith("/sh");
        EngineProcess.Find("/bin/sh").ShouldBe("/bin/sh");
        EngineProcess.Find("no-such-program").ShouldBeNull();
        EngineProcess.Find("/nowhere/sh").ShouldBeNull();
    }

    /// <summary>A zombie that nobody has reaped yet is gone too.</summary>
    private static bool IsGone(int id) => !File.Exists($"/proc/{id}/stat") || File.ReadAllText($"/proc/{id}/stat").Split(") ")[1].StartsWith('Z');
}

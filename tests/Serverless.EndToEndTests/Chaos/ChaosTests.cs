using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>
/// Whatever is lost, nothing is: mixed requests over real parts, which are killed, stopped, cut off, slowed down, reset and robbed of two seconds of their data, in an order of chance.
/// The seed is printed; <c>CHAOS_SEED</c> sets it.
/// </summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Whatever_is_lost_each_request_is_answered_once_and_as_if_undisturbed()
    {
        Assert.SkipWhen(ChaosFleet.Absent is not null, ChaosFleet.Absent ?? "");
        var settings = ChaosSettings.FromEnvironment();
        var ledger = new ChaosLedger();
        var results = new ChaosResults(ledger);
        await using var fleet = await ChaosFleet.StartNewAsync(settings.Engine, results, TestContext.Current.CancellationToken);

        try
        {
            await new ChaosRun(fleet, results, ledger, settings).RunAsync(TestContext.Current.CancellationToken);
        }
        finally
        {
            Tell(settings, ledger, fleet);
        }

        var told = $"seed {settings.Seed}: {ledger.Summary}\n{ledger.Story}";
        ledger.Violations.ShouldBeEmpty($"{told}\n{fleet.Output}");
        ledger.Served.ShouldBe(settings.Requests, told);
    }

    /// <summary>In the report, and as a file beside the build: a run that takes long is read by its story.</summary>
    private void Tell(ChaosSettings settings, ChaosLedger ledger, ChaosFleet fleet)
    {
        var told = $"seed {settings.Seed}: {ledger.Summary}\n{ledger.Story}";
        output.WriteLine(told);
        var folder = Directory.CreateDirectory(Path.Combine(Checkout.Root, "artifacts", "chaos"));
        File.WriteAllText(Path.Combine(folder.FullName, $"{settings.Seed}.txt"), $"{told}\n{fleet.Output}");
    }
}

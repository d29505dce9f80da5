using System.Xml.Linq;
using Serverless.Simulation;
using Shouldly;

namespace Serverless.Tests.Simulation;

public sealed class ReplayTests
{
    private static readonly ReplayOptions Options = new();

    [Fact]
    public void Traces_of_both_kinds_are_read()
    {
        var azure = Trace.Read("azure", new StringReader("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.9799600,3180,0\n\n"));
        var mooncake = Trace.Read("mooncake", new StringReader("{\"timestamp\": 1000, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n{\"timestamp\": 27482, \"input_length\": 7, \"output_length\": 2}"));

        azure.Requests.ShouldBe([new TraceRequest(0, 4808, 10), new TraceRequest(1, 3180, 1)]);
        mooncake.Requests.ShouldBe([new TraceRequest(0, 6758, 500), new TraceRequest(26.482, 7, 2)]);
        mooncake.Slice(10, 100).Requests.ShouldHaveSingleItem().At.ShouldBe(16.482, 1e-9);
    }

    [Theory]
    [InlineData("1,2")]
    [InlineData("soon,2,3")]
    [InlineData("{\"timestamp\": 1}")]
    public void A_line_that_is_no_request_is_named(string line) =>
        Should.Throw<FormatException>(() => Trace.Read("t", new StringReader("0,1,1\n" + line))).Message.ShouldContain("Line 2 of trace 't'");

    [Fact]
    public void The_same_seed_gives_the_same_replay_and_another_seed_another()
    {
        var trace = Bursty();

        foreach (var name in ReplayPolicies.Names)
        {
            var first = ReplayCsv.Course(Run(trace, name)) + ReplayCsv.Results([Run(trace, name)]);
            (ReplayCsv.Course(Run(trace, name)) + ReplayCsv.Results([Run(trace, name)])).ShouldBe(first, name);
        }

        Run(trace, ReplayPolicies.Planner, Options with { Seed = 2 }).FirstTokenP99.ShouldNotBe(Run(trace, ReplayPolicies.Planner).FirstTokenP99);
    }

    [Fact]
    public void A_constant_fleet_costs_its_size_and_serves_what_it_can()
    {
        var trace = Even(seconds: 1800, perSecond: 2, prompt: 500, output: 50);

        var result = Replay.Run(trace, ReplayPolicies.Create("static", 4, Options), Options with { CountFrom = 100 });

        result.GpuHours.ShouldBe(4 * (trace.Seconds - 100) / 3600, 1e-6);
        result.Attainment.ShouldBe(1);
        result.FirstTokenP50.ShouldBe(EngineProfiles.A10.PrefillSeconds(500), 0.1);
        result.PeakReplicas.ShouldBe(4);
    }

    [Fact]
    public void Work_that_is_never_served_counts_as_missed()
    {
        var result = Replay.Run(Even(60, 1, 100, 10), ReplayPolicies.Create("static", 0, Options), Options);

        result.Requests.ShouldBe(60);
        result.Attainment.ShouldBe(0);
    }

    [Fact]
    public void Ours_comes_up_from_zero_by_the_push_serves_and_goes_back_to_zero()
    {
        var requests = Even(600, 2, 500, 50).Requests.Append(new TraceRequest(3000, 10, 1)).ToArray();

        var result = Run(new Trace("pulse", requests), ReplayPolicies.Planner);

        result.Course.First(point => point.At >= 10).Desired.ShouldBeGreaterThan(0);
        result.Course.Where(point => point.At is > 1100 and < 2990).ShouldAllBe(point => point.Desired == 0);
        result.Course.Where(point => point.At is > 300 and < 600).ShouldAllBe(point => point.Waiting == 0);
    }

    [Fact]
    public void A_sweep_gives_the_cheapest_setting_that_attains()
    {
        var trace = Even(900, 3, 800, 60);
        var options = Options with { CountFrom = 300 };

        var cheapest = ReplaySweep.Cheapest(trace, "static", options);

        cheapest.Attainment.ShouldBeGreaterThanOrEqualTo(ReplayStudy.Attainment);
        var fewer = int.Parse(cheapest.Policy.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) - 1;
        Replay.Run(trace, ReplayPolicies.Create("static", fewer, options), options).Attainment.ShouldBeLessThan(ReplayStudy.Attainment);
    }

    [Fact]
    public void The_plot_is_an_SVG_and_the_table_has_a_line_for_each_result()
    {
        var results = new[] { Run(Bursty(), ReplayPolicies.Planner), Run(Bursty(), "queue-length") };

        var svg = XDocument.Parse(ReplayPlot.Draw(results));

        svg.Root!.Name.LocalName.ShouldBe("svg");
        svg.Descendants().Count(element => element.Name.LocalName == "polyline").ShouldBe(4);
        ReplayCsv.Results(results).TrimEnd().Split('\n').Length.ShouldBe(3);
    }

    [Fact]
    public void A_policy_that_is_unknown_is_answered_with_those_there_are() =>
        Should.Throw<ArgumentException>(() => ReplayPolicies.Create("hope", 1, Options)).Message.ShouldContain("queue-length");

    private static ReplayResult Run(Trace trace, string policy, ReplayOptions? options = null) =>
        Replay.Run(trace, ReplayPolicies.Create(policy, ReplayPolicies.Default(policy), options ?? Options), options ?? Options);

    private static Trace Even(double seconds, double perSecond, int prompt, int output) =>
        new("even", [.. Enumerable.Range(0, (int)(seconds * perSecond)).Select(index => new TraceRequest(index / perSecond, prompt, output))]);

    private static Trace Bursty()
    {
        var random = new Random(7);
        var at = 0.0;
        return new Trace("bursty", [.. Enumerable.Range(0, 1500).Select(index => new TraceRequest(at += (index / 300 % 2 == 0 ? 0.1 : 0.8) * random.NextDouble(), 100 + random.Next(2000), 1 + random.Next(200)))]);
    }
}

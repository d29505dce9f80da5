using CsCheck;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Simulation;
using Shouldly;

namespace Serverless.Tests.Simulation;

/// <summary>The replayed engine against what its profile says, worked by hand.</summary>
public sealed class EngineTests
{
    private static readonly EngineProfile Plain = new()
    {
        Name = "plain",
        PrefillTokensPerSecond = 1000,
        AttentionTokens = 1e12,
        StepSeconds = 0.02,
        StepSecondsPerSequence = 0,
        StepSecondsPerKvToken = 0,
        ChunkTokens = 100,
        KvTokens = 10_000,
        ColdStartSeconds = 10,
        HourlyPrice = 1,
    };

    [Fact]
    public void One_request_takes_its_prefill_and_a_step_for_each_token()
    {
        var (first, ended) = Run(Plain, (0, 500, 11)).ShouldHaveSingleItem();

        first.ShouldBe(0.5, 1e-9);
        ended.ShouldBe(0.5 + (10 * 0.02), 1e-9);
    }

    [Fact]
    public void Prompts_are_prefilled_one_after_the_other_and_decoding_goes_on_beside_them()
    {
        var all = Run(Plain, (0, 500, 11), (0, 500, 11));

        all[0].First.ShouldBe(0.5, 1e-9);
        all[1].First.ShouldBe(1.0, 1e-9);

        // Beside the second prompt a step takes 0.1 s: five tokens; the other five at 0.02 s.
        all[0].Ended.ShouldBe(1.0 + (5 * 0.02), 1e-9);
    }

    [Fact]
    public void Steps_take_longer_with_more_sequences_and_more_context()
    {
        var profile = Plain with { StepSecondsPerSequence = 0.001, StepSecondsPerKvToken = 1e-5 };

        profile.DecodeStepSeconds(10, 2000).ShouldBe(0.02 + 0.01 + 0.02, 1e-12);
        (Plain with { AttentionTokens = 1000 }).PrefillSeconds(1000).ShouldBe(1.5, 1e-12);
    }

    [Fact]
    public void Every_request_ends_once_after_its_first_token_and_not_before_its_unloaded_time() =>
        Gen.Select(Gen.Double[0, 20], Gen.Int[1, 2000], Gen.Int[1, 300]).Array[1, 40].Sample(requests =>
        {
            var sorted = requests.OrderBy(request => request.Item1).ToArray();
            var ended = Run(EngineProfiles.A10, sorted);

            ended.Count.ShouldBe(sorted.Length);
            for (var i = 0; i < sorted.Length; i++)
            {
                var unloaded = EngineProfiles.A10.PrefillSeconds(sorted[i].Item2);
                ended[i].First.ShouldBeGreaterThanOrEqualTo(sorted[i].Item1 + unloaded - 1e-6);
                ended[i].Ended.ShouldBeGreaterThanOrEqualTo(ended[i].First + ((sorted[i].Item3 - 1) * EngineProfiles.A10.StepSeconds) - 1e-6);
            }
        });

    /// <summary>First token and end of each request, in order of arrival.</summary>
    private static List<(double First, double Ended)> Run(EngineProfile profile, params (double At, int Prompt, int Output)[] requests)
    {
        var engine = new ReplayEngine(profile);
        var open = requests.Select(request => Request(request.At, request.Prompt, request.Output)).ToList();
        var ends = new Dictionary<ReplayRequest, double>();
        var next = 0;
        while (ends.Count < open.Count)
        {
            var arrival = next < open.Count ? open[next].Traced.At : double.PositiveInfinity;
            if (arrival <= engine.NextEnd)
            {
                engine.Add(open[next++], arrival);
                continue;
            }

            var now = engine.NextEnd;
            if (engine.End(now) is { } ended) ends.Add(ended, now);
        }

        engine.Running.ShouldBe(0);
        engine.WaitingPromptTokens.ShouldBe(0);
        return [.. open.Select(request => (request.FirstTokenAt, ends[request]))];
    }

    private static ReplayRequest Request(double at, int prompt, int output) => new(
        new InferenceRequest
        {
            Id = new RequestId("r"),
            Model = new ModelName("m"),
            Endpoint = EndpointName.ChatCompletions,
            Body = default,
            PromptTokens = prompt,
            MaxOutputTokens = output,
            Seed = 0,
            AcceptedAt = VirtualTime.Start.AddSeconds(at),
            Deadline = VirtualTime.Start.AddHours(1),
        },
        new TraceRequest(at, prompt, output));
}

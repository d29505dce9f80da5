using CsCheck;
using Serverless.Inference.Batching;
using Shouldly;

namespace Serverless.Tests.Inference.Batching;

public sealed class StopMatcherTests
{
    private static readonly Gen<string> Text = Gen.String[Gen.Char["abc"], 0, 40];

    [Fact]
    public void However_a_text_is_cut_it_ends_before_the_first_stop_and_shows_no_part_of_one() =>
        Gen.Select(Text, Gen.String[Gen.Char["abc"], 1, 4].Array[0, 3], Gen.Int[1, 5]).Sample((text, stops, step) =>
        {
            var matcher = new StopMatcher(stops);
            var (shown, stopped) = ("", false);
            for (var i = 0; i < text.Length && !stopped; i += step)
            {
                shown += matcher.Add(text.Substring(i, Math.Min(step, text.Length - i)), out stopped);
                if (!stopped) (shown + matcher.Held).ShouldBe(text[..Math.Min(text.Length, i + step)]);
            }

            if (!stopped) shown += matcher.Flush();

            // Of the stops that are whole in what was read, the one that begins first. A later piece may only add to it.
            var ends = stops.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).ToList();
            stopped.ShouldBe(ends.Count > 0);
            if (ends.Count == 0) shown.ShouldBe(text);
            else text.ShouldStartWith(shown);
            foreach (var stop in stops) shown.ShouldNotContain(stop);
        });

    [Fact]
    public void An_end_that_may_become_a_stop_is_held_back_until_it_is_none()
    {
        var matcher = new StopMatcher(["END"]);

        matcher.Add("the E", out _).ShouldBe("the ");
        matcher.Held.ShouldBe("E");
        matcher.Add("N", out _).ShouldBe("");
        matcher.Add("t", out var stopped).ShouldBe("ENt");
        stopped.ShouldBeFalse();
        matcher.Add("xEND rest", out stopped).ShouldBe("x");
        stopped.ShouldBeTrue();
    }
}

using Serverless.Inference.Models;
using Shouldly;

namespace Serverless.Tests.Inference.Models;

/// <summary>The functions of the rotary table against this machine's library: its last bits are its own, ours are everyone's.</summary>
public sealed class PortableMathTests
{
    [Fact]
    public void Frequencies_and_angles_are_those_of_the_library_to_thirteen_digits()
    {
        foreach (var powerBase in new[] { 1.0, 10_000, 100_000, 500_000, 1e12 })
        {
            for (var i = 0; i < 64; i++)
            {
                var frequency = PortableMath.Power(powerBase, -2.0 * i / 128);
                frequency.ShouldBe(Math.Pow(powerBase, -2.0 * i / 128), 1e-13 * frequency);
            }
        }

        for (var angle = 0.0; angle < 2e7; angle = (angle * 1.01) + 0.1)
        {
            var (sine, cosine) = PortableMath.SineCosine(angle);
            var tolerance = angle < 1e6 ? 1e-13 : 1e-8;
            sine.ShouldBe(Math.Sin(angle), tolerance);
            cosine.ShouldBe(Math.Cos(angle), tolerance);
        }
    }

    [Fact]
    public void The_bits_are_written_down()
    {
        // Found on x86-64; a machine that gives others breaks the promise that an answer goes on there as the same answer.
        BitConverter.DoubleToInt64Bits(PortableMath.Power(100_000, -2.0 * 7 / 64)).ShouldBe(PowerBits);
        var (sine, cosine) = PortableMath.SineCosine(8191 * 0.2844);
        (BitConverter.DoubleToInt64Bits(sine), BitConverter.DoubleToInt64Bits(cosine)).ShouldBe((SineBits, CosineBits));
    }

    private const long PowerBits = 4590471125585600182;
    private const long SineBits = -4616193523056357703;
    private const long CosineBits = 4584143619354277367;
}

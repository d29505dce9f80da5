using System.Text;
using Serverless.Gateway.Batches;
using Shouldly;

namespace Serverless.Tests.Gateway.Batches;

public sealed class JsonLinesTests
{
    [Theory]
    [InlineData("a\nb\n", "1:a 2:b")]
    [InlineData("a\nb", "1:a 2:b")]
    [InlineData("a\r\n\r\n  \nb\r\n", "1:a 4:b")]
    [InlineData("\uFEFFa\n\uFEFFb", "1:a 2:\uFEFFb")]
    [InlineData("\uFEFF\n", "")]
    [InlineData("", "")]
    [InlineData("\n\n", "")]
    [InlineData("abcdefghi\nb\nabcdefghij\nc\nabcdefghijk", "1:abcdefghi 2:b 3:abcdefghij 4:c 5:?")]
    [InlineData("abcdefghijklmnopqrstuvwxyz\nb", "1:? 2:b")]
    public async Task Lines_have_numbers_without_marks_ends_and_blanks(string text, string expected)
    {
        foreach (var step in (int[])[1, 3, 1000])
        {
            await using var stream = new Steps(Encoding.UTF8.GetBytes(text), step);
            var lines = new List<string>();

            await foreach (var (number, line) in JsonLines.ReadAsync(stream, 10, TestContext.Current.CancellationToken)) lines.Add($"{number}:{(line is null ? "?" : Encoding.UTF8.GetString(line))}");

            string.Join(' ', lines).ShouldBe(expected);
        }
    }

    /// <summary>So many bytes with each read.</summary>
    private sealed class Steps(byte[] bytes, int step) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..Math.Min(step, buffer.Length)], cancellationToken);
    }
}

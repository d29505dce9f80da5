using Serverless.Gateway.Batches;
using Shouldly;

namespace Serverless.Tests.Gateway.Batches;

public sealed class LinesAtOnceTests
{
    private const int Megabyte = 1 << 20;

    private readonly LinesAtOnce _lines = new(new LineWindow(8, new TestClock()));

    [Fact]
    public void As_many_run_as_the_window_says()
    {
        Fill(1000).ShouldBe(8);
    }

    [Fact]
    public void Long_lines_run_by_the_bytes_they_have()
    {
        Fill(10 * Megabyte).ShouldBe(4);
    }

    [Fact]
    public void One_that_is_too_long_runs_alone()
    {
        Fill(100 * Megabyte).ShouldBe(1);
    }

    [Fact]
    public void Where_answers_are_long_fewer_run_and_more_again_once_they_are_short()
    {
        for (var answer = 0; answer < 50; answer++) _lines.Answered(16 * Megabyte);
        Fill(1000).ShouldBe(3);

        for (var answer = 0; answer < 50; answer++) _lines.Answered(1000);
        Fill(1000).ShouldBe(5, "8 in all");
    }

    private int Fill(int bytes)
    {
        var added = 0;
        for (; _lines.HasRoom; added++) _lines.Add(new TaskCompletionSource<LineResult>().Task, bytes);
        return added;
    }
}

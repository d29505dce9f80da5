using Serverless.Inference.Kernels;
using Shouldly;

namespace Serverless.Tests.Inference.Kernels;

public sealed class WorkerPoolTests
{
    [Fact]
    public void Every_thread_runs_a_body_once_however_fast_the_others_are()
    {
        const int Threads = 4;
        using var pool = new WorkerPool(Threads);
        var runs = new int[Threads];
        for (var run = 1; run <= 5000; run++)
        {
            pool.Run(thread => Interlocked.Increment(ref runs[thread]));

            runs.ShouldAllBe(count => count == run);
        }
    }

    [Fact]
    public void A_run_may_take_fewer_threads_and_the_next_one_more()
    {
        using var pool = new WorkerPool(4);
        foreach (var threads in new[] { 1, 4, 2, 3, 1, 4 })
        {
            var ran = new int[4];
            pool.Run(
                thread =>
                {
                    pool.Barrier();
                    Interlocked.Increment(ref ran[thread]);
                },
                threads);

            ran.ShouldBe([.. Enumerable.Range(0, 4).Select(thread => thread < threads ? 1 : 0)]);
        }
    }

    [Fact]
    public void Chunks_are_handed_out_once_in_each_phase()
    {
        using var pool = new WorkerPool(3);
        var (first, second) = (new int[50], new int[50]);

        pool.Run(_ =>
        {
            for (var i = pool.Next(); i < first.Length; i = pool.Next()) Interlocked.Increment(ref first[i]);
            pool.Barrier();
            for (var i = pool.Next(); i < second.Length; i = pool.Next()) second[i] += first.Sum(); // all of the first phase is done
        });

        first.ShouldAllBe(count => count == 1);
        second.ShouldAllBe(sum => sum == first.Length);
    }

    /// <summary>The one that is late is held up until all others have gone to sleep: they are woken, at a barrier and at the end.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Whoever_waits_long_sleeps_and_is_woken(bool atBarrier)
    {
        using var pool = new WorkerPool(4);
        var late = atBarrier ? 0 : 3;
        var ended = 0;
        for (var run = 1; run <= 3; run++)
        {
            pool.Run(thread =>
            {
                if (thread == late) SpinWait.SpinUntil(() => pool.Sleeping == (atBarrier ? 3 : 1));
                if (atBarrier) pool.Barrier();
                Interlocked.Increment(ref ended);
            });

            ended.ShouldBe(4 * run);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void A_fault_on_any_thread_ends_the_step_and_the_next_one_runs(int failing)
    {
        using var pool = new WorkerPool(3);

        Should.Throw<InvalidOperationException>(() => pool.Run(thread =>
        {
            if (thread == failing) throw new FormatException("spoilt");
            pool.Barrier();
        })).Message.ShouldContain("spoilt");

        var runs = 0;
        pool.Run(_ =>
        {
            pool.Barrier();
            Interlocked.Increment(ref runs);
        });
        runs.ShouldBe(3);
    }
}

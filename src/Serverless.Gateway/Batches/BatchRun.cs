using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>
/// One batch, run by the one gateway that has its lease. What is in the batch's document is so: a line is done once its result stands in a segment that the document names. Whoever takes over goes
/// on from there; whoever was taken over commits nothing any more, for the document has another epoch. Not thread-safe.
/// </summary>
internal sealed class BatchRun(BatchParts parts, Batch batch, long epoch) : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly BatchResults _results = new();
    private Batch _batch = batch;
    private int _segments;

    /// <summary>Runs it to its end, or as far as it comes. What ends it early is left to whoever is next.</summary>
    /// <param name="given">Cancelled when it is to be ended here: its owner gave it up, or its window is over.</param>
    /// <param name="cancellationToken">Cancelled when this gateway runs it no longer.</param>
    public async Task RunAsync(CancellationToken given, CancellationToken cancellationToken)
    {
        await UpdateAsync(known => known with { Progress = known.Progress with { Epoch = epoch } }, cancellationToken);
        if (_batch.Status == BatchStatus.Validating) await ValidateAsync(cancellationToken);
        if (_batch.Status == BatchStatus.InProgress) await WorkAsync(given, cancellationToken);
        if (!_batch.HasEnded) await FinishAsync(cancellationToken);
        await RetryAsync(async () => await parts.Store.ClearAsync(_batch.Id, cancellationToken), cancellationToken);
        await RetryAsync(async () => await parts.Directory.CloseAsync(_batch.Id, cancellationToken), cancellationToken);
    }

    public void Dispose() => _results.Dispose();

    private async Task ValidateAsync(CancellationToken cancellationToken)
    {
        var outcome = await RetryAsync(() => parts.Plan.MakeAsync(_batch, cancellationToken), cancellationToken);
        var now = parts.Time.GetUtcNow();
        await UpdateAsync(
            known => known.Status != BatchStatus.Validating
                ? known // given up meanwhile
                : outcome.Errors.Count > 0
                    ? known with { Status = BatchStatus.Failed, Errors = outcome.Errors, EndedAt = now }
                    : known with { Status = BatchStatus.InProgress, InProgressAt = now, Model = outcome.Model, Progress = known.Progress with { Pieces = outcome.Pieces, Total = outcome.Lines } },
            cancellationToken);
    }

    /// <summary>Runs its lines, as many at once as there is room for, until all are done or it is given up.</summary>
    private async Task WorkAsync(CancellationToken given, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(given, cancellationToken);
        var window = new LineWindow(parts.Options.Value.MaxAtOnce, parts.Time);
        var results = Channel.CreateUnbounded<Task<LineResult>>();
        var (atOnce, more) = (0, true);
        var commitAt = long.MaxValue;
        await using var lines = LinesAsync(either.Token).GetAsyncEnumerator(either.Token);
        try
        {
            while (true)
            {
                while (more && atOnce < window.Size && (more = await lines.MoveNextAsync()))
                {
                    atOnce++;
                    Run(lines.Current, window, results.Writer, either.Token);
                }

                if (atOnce == 0) break;

                if (!results.Reader.TryRead(out var ended))
                {
                    if (commitAt != long.MaxValue && !await WaitAsync(results.Reader, commitAt, either.Token)) commitAt = await CommitAsync(cancellationToken);
                    else if (commitAt == long.MaxValue) await results.Reader.WaitToReadAsync(either.Token);
                    continue;
                }

                atOnce--;
                _results.Add(await ended);
                window.Answered();
                if (commitAt == long.MaxValue) commitAt = parts.Time.GetUtcNow().UtcTicks + CommitInterval.Ticks;
                if (_results.Count >= parts.Options.Value.CommitLines) commitAt = await CommitAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            // What runs ends by itself; what it would have come to is lost, and made again by whoever goes on.
        }

        using var last = new CancellationTokenSource(LongestPause, parts.Time);
        if (_results.Count > 0) await CommitAsync(cancellationToken.IsCancellationRequested ? last.Token : cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>The lines that are not done, in their order.</summary>
    private async IAsyncEnumerable<(int Number, byte[] Line)> LinesAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var begun = _batch; // what is done from now on was read before
        for (var piece = 0; piece < begun.Progress.Pieces.Count; piece++)
        {
            List<(int Number, byte[] Line)> lines = [];
            await RetryAsync(
                async () =>
                {
                    lines.Clear();
                    await foreach (var line in parts.Store.ReadPieceAsync(begun, piece, parts.Plan.MaxLineBytes, cancellationToken)) lines.Add(line);
                },
                cancellationToken);
            foreach (var line in lines) yield return line;
        }
    }

    private void Run((int Number, byte[] Line) line, LineWindow window, ChannelWriter<Task<LineResult>> results, CancellationToken cancellationToken)
    {
        var running = parts.Lines.RunAsync(_batch, line.Number, line.Line, window.PushedBack, cancellationToken);
        _ = running.ContinueWith(static (ended, writer) => ((ChannelWriter<Task<LineResult>>)writer!).TryWrite(ended), results, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>False: nothing came by then.</summary>
    private async Task<bool> WaitAsync(ChannelReader<Task<LineResult>> results, long until, CancellationToken cancellationToken)
    {
        var left = new TimeSpan(Math.Max(0, until - parts.Time.GetUtcNow().UtcTicks));
        using var limit = new CancellationTokenSource(left, parts.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await results.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>The more segments there are, the longer they take to gather: the document names them all.</summary>
    private TimeSpan CommitInterval => parts.Options.Value.CommitInterval * (1 + ((_batch.Progress.Outputs.Count + _batch.Progress.Faults.Count) / 50.0));

    /// <summary>Keeps the results that there are, in a segment of each kind, and then says so. Returns when the next are due: never, before there is one.</summary>
    private async Task<long> CommitAsync(CancellationToken cancellationToken)
    {
        var outputs = await PutAsync(_results.Outputs, isFault: false, cancellationToken);
        var faults = await PutAsync(_results.Faults, isFault: true, cancellationToken);
        await UpdateAsync(known => known with { Progress = _results.AddTo(known.Progress, outputs, faults) }, cancellationToken);
        _results.Clear();
        return long.MaxValue;
    }

    private async Task<string?> PutAsync(MemoryStream lines, bool isFault, CancellationToken cancellationToken)
    {
        if (lines.Length == 0) return null;

        var name = BatchStore.SegmentName(_batch.Id, epoch, ++_segments, isFault);
        await RetryAsync(async () => await parts.Store.PutSegmentAsync(name, lines, cancellationToken), cancellationToken);
        return name;
    }

    /// <summary>Makes its files of its segments, and ends it.</summary>
    private async Task FinishAsync(CancellationToken cancellationToken)
    {
        if (_batch.Status is BatchStatus.InProgress && _batch.Progress.Completed + _batch.Progress.Failed < _batch.Progress.Total) await ExpireAsync(cancellationToken);
        var now = parts.Time.GetUtcNow();
        await UpdateAsync(known => known with { Status = known.Status == BatchStatus.InProgress ? BatchStatus.Finalizing : known.Status, FinalizingAt = known.FinalizingAt ?? (known.Status == BatchStatus.Cancelling ? null : now) }, cancellationToken);
        var outputs = await PublishAsync(_batch.Progress.Outputs, "output", cancellationToken);
        var errors = await PublishAsync(_batch.Progress.Faults, "error", cancellationToken);
        now = parts.Time.GetUtcNow();
        await UpdateAsync(
            known => known with
            {
                Status = known.Status == BatchStatus.Cancelling ? BatchStatus.Cancelled : known.HasExpired ? BatchStatus.Expired : BatchStatus.Completed,
                OutputFileId = outputs,
                ErrorFileId = errors,
                EndedAt = now,
            },
            cancellationToken);
    }

    /// <summary>Its window is over: what is not done has failed.</summary>
    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        await UpdateAsync(known => known.Status == BatchStatus.InProgress ? known with { HasExpired = true } : known, cancellationToken);
        if (_batch.Status != BatchStatus.InProgress) return;

        await foreach (var (number, line) in LinesAsync(cancellationToken))
        {
            _results.Add(LineRunner.Expired(_batch, number, line));
            if (_results.Count >= parts.Options.Value.CommitLines * 16) await CommitAsync(cancellationToken);
        }

        if (_results.Count > 0) await CommitAsync(cancellationToken);
    }

    private async Task<string?> PublishAsync(IReadOnlyList<string> segments, string kind, CancellationToken cancellationToken)
    {
        if (segments.Count == 0) return null;

        var id = FileId.Derive(Encoding.UTF8.GetBytes($"{_batch.Id} {kind}"));
        return await RetryAsync(
            async () =>
            {
                if (await parts.Files.FindAsync(_batch.Owner, id.Value, cancellationToken) is { } before) return before.Id;

                await using var content = parts.Store.Join(segments);
                var draft = await parts.Files.DraftAsync(_batch.Owner, id, content, cancellationToken, long.MaxValue / 2);
                return (await parts.Files.PublishAsync(draft, new FileDetails($"{_batch.Id}_{kind}.jsonl", FilePurposes.BatchOutput, _batch.OutputExpiresAfter) { IsOwed = true }, cancellationToken)).Id;
            },
            cancellationToken);
    }

    /// <summary>Changes the batch, as long as this one runs it.</summary>
    /// <exception cref="BatchTakenException">Another runs it, or it is gone.</exception>
    private async Task UpdateAsync(Func<Batch, Batch> change, CancellationToken cancellationToken) => _batch = await RetryAsync(
        async () => await parts.Directory.UpdateAsync(_batch.Owner.Scope, _batch.Id, known => known.Progress.Epoch > epoch || known.HasEnded && !_batch.HasEnded ? null : change(known), cancellationToken)
            ?? throw new BatchTakenException(),
        cancellationToken);

    private async Task RetryAsync(Func<Task> step, CancellationToken cancellationToken) => _ = await RetryAsync(
        async () =>
        {
            await step();
            return true;
        },
        cancellationToken);

    /// <summary>Again and again while a store is away.</summary>
    private async Task<T> RetryAsync<T>(Func<Task<T>> step, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        while (true)
        {
            try
            {
                return await step();
            }
            catch (ServingException exception) when (exception.Fault.Error == ServingError.StoreUnavailable)
            {
                await Task.Delay(backoff.Next(), parts.Time, cancellationToken);
            }
        }
    }
}

/// <summary>Another gateway runs the batch now, or it is gone.</summary>
internal sealed class BatchTakenException : Exception;

/// <summary>What all runs of this process share.</summary>
internal sealed record BatchParts(BatchDirectory Directory, FileDirectory Files, BatchStore Store, BatchPlan Plan, LineRunner Lines, IOptions<BatchOptions> Options, TimeProvider Time);

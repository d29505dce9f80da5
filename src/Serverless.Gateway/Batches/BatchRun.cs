using System.Text;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Files;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>
/// One batch, run by the one gateway that has its lease. What is in the batch's document is so: a line is done once its result stands in a segment that the document names. Whoever takes over goes
/// on from there; whoever was taken over commits nothing any more, for the document has another epoch (ADR 20). Not thread-safe.
/// </summary>
internal sealed class BatchRun(BatchParts parts, Batch batch, BatchRunId run, BatchNotices notices) : IDisposable
{
    /// <summary>What was answered is awaited and kept for so long when a run is ended early: no longer than a lease lasts.</summary>
    private static readonly TimeSpan LastPause = TimeSpan.FromSeconds(10);

    /// <summary>A batch that fails again and again is tried for so long beyond its window.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(1);

    /// <summary>Bytes of results that are kept in memory at most: lines may be answered at length.</summary>
    private const long MostBytes = 4 << 20;

    private BatchResults _results = new();

    /// <summary>A commit that was begun and is not known to be done: whoever goes on finishes that one first, under the same names, or its lines would count twice.</summary>
    private (BatchResults Results, string? Outputs, string? Faults)? _begun;
    private Batch _batch = batch;
    private int _segments;

    /// <summary>Runs it to its end, or as far as it comes. What ends it early is left to whoever is next.</summary>
    /// <param name="given">Cancelled when it is to be ended here: its owner gave it up, or its window is over.</param>
    /// <param name="cancellationToken">Cancelled when this gateway runs it no longer.</param>
    /// <returns>The batch at its end.</returns>
    /// <exception cref="BatchTakenException">Another runs it, or it is gone.</exception>
    public async Task<Batch> RunAsync(CancellationToken given, CancellationToken cancellationToken)
    {
        await UpdateAsync(known => known with { Progress = known.Progress with { Epoch = run.Epoch } }, cancellationToken);
        try
        {
            if (_batch.Status == BatchStatus.Validating) await ValidateAsync(cancellationToken);
            if (_batch.Status == BatchStatus.InProgress) await WorkAsync(given, cancellationToken);
            if (!_batch.HasEnded) await FinishAsync(cancellationToken);
        }
        catch (BatchBrokenException exception)
        {
            await FailAsync(new BatchError("batch_data_lost", $"{exception.Message}, so this batch cannot go on."), cancellationToken);
        }
        catch (Exception exception) when (exception is not (BatchTakenException or OperationCanceledException) && parts.Time.GetUtcNow() >= _batch.ExpiresAt + Patience)
        {
            await FailAsync(new BatchError("internal_error", "The server failed on this batch again and again until its window was over."), cancellationToken);
            throw;
        }

        await notices.TellEndAsync(_batch, cancellationToken); // before it is closed: whoever takes over what a lost gateway had ended tells it again
        await StoreRetry.RunAsync(parts.Time, async () => await parts.Store.ClearAsync(_batch, cancellationToken), cancellationToken);
        await StoreRetry.RunAsync(parts.Time, async () => await parts.Directory.CloseAsync(_batch.Id, cancellationToken), cancellationToken);
        return _batch;
    }

    public void Dispose()
    {
        _results.Dispose();
        _begun?.Results.Dispose();
    }

    private async Task ValidateAsync(CancellationToken cancellationToken)
    {
        var plan = BatchStore.PlanName(_batch.Id, run);
        var outcome = await StoreRetry.RunAsync(parts.Time, () => parts.Plan.MakeAsync(_batch, plan, cancellationToken), cancellationToken);
        var now = parts.Time.GetUtcNow();
        await UpdateAsync(
            known => known.Status != BatchStatus.Validating
                ? known // given up meanwhile
                : outcome.Errors.Count > 0
                    ? known with { Status = BatchStatus.Failed, Errors = outcome.Errors, EndedAt = now }
                    : known with { Status = BatchStatus.InProgress, InProgressAt = now, Model = outcome.Model, Progress = known.Progress with { Plan = plan, Pieces = outcome.Pieces, Total = outcome.Lines } },
            cancellationToken);
        if (_batch.Progress.Plan != plan) await StoreRetry.RunAsync(parts.Time, async () => await parts.Store.ClearPlanAsync(plan, outcome.Pieces.Count, cancellationToken), cancellationToken);
    }

    /// <summary>Runs its lines, as many at once as there is room for, until all are done or it is given up. What was answered by then is kept, however it ends.</summary>
    private async Task WorkAsync(CancellationToken given, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(given, cancellationToken);
        var window = new LineWindow(parts.Options.Value.MaxAtOnce, parts.Time);
        var running = new LinesAtOnce(window);
        try
        {
            await RunLinesAsync(running, window, stop.Token, cancellationToken);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Ended early, below.
        }
        finally
        {
            await stop.CancelAsync(); // whatever ended it, no line runs on
            using var last = new CancellationTokenSource(LastPause, parts.Time);
            await TakeLastAsync(running, last.Token);
            await CommitAsync(cancellationToken.IsCancellationRequested ? last.Token : cancellationToken);
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task RunLinesAsync(LinesAtOnce running, LineWindow window, CancellationToken stop, CancellationToken cancellationToken)
    {
        await using var lines = LinesAsync(stop).GetAsyncEnumerator(stop);
        var (more, commitAt) = (true, DateTimeOffset.MaxValue);
        while (true)
        {
            while (more && running.HasRoom && (more = await lines.MoveNextAsync()))
            {
                var (number, line) = lines.Current;
                running.Add(parts.Lines.RunAsync(_batch, run, number, line, window.PushedBack, stop), line.Length);
            }

            if (running.IsEmpty) return;

            if (running.TryTake(out var ended))
            {
                var result = await ended;
                _results.Add(result);
                running.Answered(result.Line.Length);
                window.Answered();
                if (commitAt == DateTimeOffset.MaxValue) commitAt = parts.Time.GetUtcNow() + CommitInterval;
            }
            else if (!await WaitAsync(running, commitAt, stop))
            {
                commitAt = DateTimeOffset.MinValue;
            }

            if (!IsFull && commitAt != DateTimeOffset.MinValue) continue;
            await CommitAsync(cancellationToken);
            commitAt = DateTimeOffset.MaxValue;
        }
    }

    /// <summary>Takes what was answered already. A line that is being ended has no result: whoever goes on asks for it again.</summary>
    private async Task TakeLastAsync(LinesAtOnce running, CancellationToken cancellationToken)
    {
        try
        {
            while (!running.IsEmpty)
            {
                while (running.TryTake(out var ended))
                {
                    if (ended.IsCompletedSuccessfully) _results.Add(await ended);
                }

                if (!running.IsEmpty) await running.WaitAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            // What takes longer to end has no result.
        }
    }

    /// <summary>The lines that are not done, piece by piece; of a piece, those that begin alike together: an engine has their beginning in its cache then.</summary>
    private async IAsyncEnumerable<(int Number, byte[] Line)> LinesAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var begun = _batch; // what is done from now on was read before
        for (var piece = 0; piece < begun.Progress.Pieces.Count; piece++)
        {
            List<(int Number, byte[] Line)> lines = [];
            await StoreRetry.RunAsync(
                parts.Time,
                async () =>
                {
                    lines.Clear();
                    await foreach (var line in parts.Store.ReadPieceAsync(begun, piece, cancellationToken)) lines.Add(line);
                },
                cancellationToken);
            lines.Sort(static (one, other) => BatchLine.ByBeginning(one.Line, other.Line) is var order && order != 0 ? order : one.Number.CompareTo(other.Number));
            foreach (var line in lines) yield return line;
        }
    }

    /// <summary>Waits until a line has ended. False: none had by then.</summary>
    private async Task<bool> WaitAsync(LinesAtOnce running, DateTimeOffset until, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var timer = until == DateTimeOffset.MaxValue ? null : new CancellationTokenSource(Later(until), parts.Time);
        await using var registration = timer?.Token.Register(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        try
        {
            await running.WaitAsync(limit.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private TimeSpan Later(DateTimeOffset until) => until - parts.Time.GetUtcNow() is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    /// <summary>The more segments there are, the longer they take to gather: the document names them all.</summary>
    private TimeSpan CommitInterval => parts.Options.Value.CommitInterval * (1 + ((_batch.Progress.Outputs.Count + _batch.Progress.Faults.Count) / 50.0));

    private bool IsFull => _results.Count >= parts.Options.Value.CommitLines || _results.Outputs.Length + _results.Faults.Length >= MostBytes;

    /// <summary>Keeps the results that there are, in a segment of each kind, and then says so. Once, also where it was not known whether the saying arrived.</summary>
    private async Task CommitAsync(CancellationToken cancellationToken)
    {
        while (_begun is not null || _results.Count > 0)
        {
            if (_begun is null)
            {
                _begun = (_results, NameOf(_results.Outputs, isFault: false), NameOf(_results.Faults, isFault: true));
                _results = new BatchResults();
            }

            var (results, outputs, faults) = _begun.Value;
            await PutAsync(outputs, results.Outputs, cancellationToken);
            await PutAsync(faults, results.Faults, cancellationToken);
            await UpdateAsync(known => known.Progress.Names(outputs, faults) ? known : known with { Progress = results.AddTo(known.Progress, outputs, faults) }, cancellationToken);
            parts.Metrics.Committed(results);
            results.Dispose();
            _begun = null;
        }
    }

    private string? NameOf(MemoryStream lines, bool isFault) => lines.Length == 0 ? null : BatchStore.SegmentName(_batch.Id, run, ++_segments, isFault);

    private async Task PutAsync(string? name, MemoryStream lines, CancellationToken cancellationToken)
    {
        if (name is not null) await StoreRetry.RunAsync(parts.Time, async () => await parts.Store.PutSegmentAsync(name, lines, cancellationToken), cancellationToken);
    }

    /// <summary>Makes its files of its segments, and ends it.</summary>
    private async Task FinishAsync(CancellationToken cancellationToken)
    {
        if (_batch.Status is BatchStatus.InProgress && _batch.Progress.Completed + _batch.Progress.Failed < _batch.Progress.Total) await ExpireAsync(cancellationToken);
        var now = parts.Time.GetUtcNow();
        await UpdateAsync(known => known with { Status = known.Status == BatchStatus.InProgress ? BatchStatus.Finalizing : known.Status, FinalizingAt = known.FinalizingAt ?? (known.Status == BatchStatus.Cancelling ? null : now) }, cancellationToken);
        var outputs = await PublishAsync(_batch.Progress.Outputs, "output", null, cancellationToken);
        var errors = await PublishAsync(_batch.Progress.Faults, "error", null, cancellationToken);
        await EndAsync(known => known.HasExpired ? BatchStatus.Expired : BatchStatus.Completed, outputs, errors, [], cancellationToken);
    }

    /// <summary>Its window is over: what is not done has failed.</summary>
    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        await UpdateAsync(known => known.Status == BatchStatus.InProgress ? known with { HasExpired = true } : known, cancellationToken);
        if (_batch.Status != BatchStatus.InProgress) return;

        await foreach (var (number, line) in LinesAsync(cancellationToken))
        {
            _results.Add(LineRunner.Expired(_batch, number, line));
            if (_results.Count >= parts.Options.Value.CommitLines * 16 || _results.Faults.Length >= MostBytes) await CommitAsync(cancellationToken);
        }

        await CommitAsync(cancellationToken);
    }

    /// <summary>It cannot go on: ends it with what is still there.</summary>
    private async Task FailAsync(BatchError error, CancellationToken cancellationToken)
    {
        var lost = new SortedSet<string>(StringComparer.Ordinal);
        var outputs = await PublishAsync(_batch.Progress.Outputs, "output", name => lost.Add(name), cancellationToken);
        var errors = await PublishAsync(_batch.Progress.Faults, "error", name => lost.Add(name), cancellationToken);
        var results = lost.Select(name => new BatchError(error.Code, $"'{name}', which held results of this batch, is gone; they are in neither file."));
        var rest = new BatchError(error.Code, "Create another batch of the lines that are neither in the output file nor in the error file.");
        await EndAsync(_ => BatchStatus.Failed, outputs, errors, [error, .. results.Take(20), rest], cancellationToken);
    }

    private async Task EndAsync(Func<Batch, BatchStatus> status, string? outputs, string? errors, IReadOnlyList<BatchError> faults, CancellationToken cancellationToken)
    {
        var now = parts.Time.GetUtcNow();
        await UpdateAsync(
            known => known with
            {
                Status = known.Status == BatchStatus.Cancelling ? BatchStatus.Cancelled : status(known),
                Errors = faults,
                OutputFileId = outputs,
                ErrorFileId = errors,
                EndedAt = now,
            },
            cancellationToken);
    }

    /// <summary>Makes a file of segments, once: whoever makes it again finds it.</summary>
    private async Task<string?> PublishAsync(IReadOnlyList<string> segments, string kind, Action<string>? lost, CancellationToken cancellationToken)
    {
        if (segments.Count == 0) return null;

        var id = FileId.Derive(Encoding.UTF8.GetBytes($"{_batch.Id} {kind}"));
        return await StoreRetry.RunAsync(
            parts.Time,
            async () =>
            {
                if (await parts.Files.FindAsync(_batch.Owner, id.Value, cancellationToken) is { } before) return before.Id;

                await using var content = parts.Store.Join(segments, lost);
                var draft = await parts.Files.DraftAsync(_batch.Owner, id, content, cancellationToken, long.MaxValue / 2);
                if (draft.Bytes.Length > 0) return (await parts.Files.PublishAsync(draft, new FileDetails($"{_batch.Id}_{kind}.jsonl", FilePurposes.BatchOutput, _batch.OutputExpiresAfter) { IsOwed = true }, cancellationToken)).Id;
                await parts.Files.DiscardAsync(draft);
                return null; // all of it is lost
            },
            cancellationToken);
    }

    /// <summary>Changes the batch, as long as this one runs it.</summary>
    /// <exception cref="BatchTakenException">Another runs it, or it is gone.</exception>
    private async Task UpdateAsync(Func<Batch, Batch> change, CancellationToken cancellationToken) => _batch = await StoreRetry.RunAsync(
        parts.Time,
        async () => await parts.Directory.UpdateAsync(_batch.Owner.Scope, _batch.Id, known => known.Progress.Epoch > run.Epoch || (known.HasEnded && !_batch.HasEnded) ? null : change(known), cancellationToken)
            ?? throw new BatchTakenException(),
        cancellationToken);
}

/// <summary>Another gateway runs the batch now, or it is gone.</summary>
internal sealed class BatchTakenException : Exception;

/// <summary>What all runs of this process share.</summary>
internal sealed record BatchParts(BatchDirectory Directory, FileDirectory Files, BatchStore Store, BatchPlan Plan, LineRunner Lines, BatchMetrics Metrics, IOptions<BatchOptions> Options, TimeProvider Time);

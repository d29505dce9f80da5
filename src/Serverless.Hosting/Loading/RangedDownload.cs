using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.ExceptionServices;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>
/// Pulls one file into its part: in ranges over several connections where the server has ranges, on from where an earlier one broke off. All ranges are of the same bytes (<c>If-Range</c>, and the
/// validator of each answer); where those change midway, it begins anew. One per file.
/// </summary>
internal sealed class RangedDownload(RemoteFile file, string path, ModelOptions options, HubHttp http, SemaphoreSlim connections, Arrival arrival)
{
    private const int BufferBytes = 1 << 20;
    private const int MostChanges = 3;

    /// <summary>Fewer bytes than that are no progress: a server that breaks off after each does not keep it busy for ever.</summary>
    private const long Progress = 1 << 10;

    private readonly FailureRounds _rounds = new(HubHttp.Shown(file.Address()), options, http);
    private Uri? _direct;

    /// <summary>The file, whole, and its SHA-256.</summary>
    /// <exception cref="ModelPullException">It cannot be had.</exception>
    public async Task<(PartFile Part, string Sha256)> RunAsync(CancellationToken cancellationToken)
    {
        var (changes, breaks) = (0, 0);
        while (true)
        {
            var part = PartFile.Open(path);
            if (part is not null && (part.Length != (file.Size ?? part.Length) || part.Validator != (file.Validator ?? part.Validator)))
            {
                part.Dispose();
                part = null;
            }

            try
            {
                return await PullAsync(part, cancellationToken);
            }
            catch (ChangedException exception)
            {
                PartFile.Delete(path);
                if (exception.Broke && ++breaks == options.MaxFailures) throw new ModelPullException($"{Name} cannot be pulled, and cannot be gone on with: {exception.Message}, {breaks} times now.", exception);
                if (!exception.Broke && ++changes == MostChanges) throw new ModelPullException($"{Name} changes while it is pulled ({exception.Message}), {changes} times now; pull it when it rests.", exception);
            }
        }
    }

    private string Name => HubHttp.Shown(file.Address());

    private async Task<(PartFile Part, string Sha256)> PullAsync(PartFile? part, CancellationToken cancellationToken)
    {
        var counted = 0L;
        void Count(long bytes)
        {
            Interlocked.Add(ref counted, bytes);
            arrival.Came(bytes);
        }

        using var hash = new PrefixHash();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<string>? hashing = null;
        var whole = false;
        try
        {
            HttpResponseMessage? first = null;
            if (part is null) (part, first) = await BeginAsync(cancellationToken);
            else
            {
                await RoomAsync(part.Length, cancellationToken);
                Count(part.Count);
            }

            hashing = Task.Run(() => hash.RunAsync(part, stop.Token), CancellationToken.None);
            if (first is { StatusCode: HttpStatusCode.OK }) await StreamAsync(part, first, hash, Count, cancellationToken);
            else await RangesAsync(part, first, hash, Count, cancellationToken);
            if (!part.IsWhole) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} came in {part.Count} bytes of {part.Length}."));
            hash.Wake();
            var sha256 = await hashing;
            whole = true;
            return (part, sha256);
        }
        finally
        {
            await stop.CancelAsync();
            if (hashing is not null) await ((Task)hashing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!whole)
            {
                LetGo(part);
                arrival.Came(-counted);
            }
        }
    }

    /// <summary>Keeps what came for the next pull, or deletes what that could not go on with.</summary>
    private void LetGo(PartFile? part)
    {
        using (part)
        {
            if (part is null || part.Handle.IsClosed) return;
            if (part is { Validator: not null, Length: not null }) part.Save();
            else PartFile.Delete(path);
        }
    }

    /// <summary>What its listing did not count is to have room before it is here.</summary>
    private Task RoomAsync(long? bytes, CancellationToken cancellationToken) => file.Size is null && bytes is { } known ? arrival.Room(known, cancellationToken) : Task.CompletedTask;

    /// <summary>Asks for the first range: the answer says how long the file is, and whether the server has ranges.</summary>
    private Task<(PartFile Part, HttpResponseMessage? First)> BeginAsync(CancellationToken cancellationToken) => _rounds.TryAsync(async () =>
    {
        await connections.WaitAsync(cancellationToken);
        HttpResponseMessage? response = null;
        try
        {
            response = await AskAsync(new PartFile.Span(0, options.SegmentBytes), null, cancellationToken);
            var (headers, validator) = (response.Content.Headers, Validators.Of(response));
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && headers.ContentRange is { Length: 0 }) return (Empty(), (HttpResponseMessage?)null);

            Demand(response);
            var isRange = response.StatusCode == HttpStatusCode.PartialContent;
            var length = isRange ? headers.ContentRange?.Length : headers.ContentLength;
            if (isRange && headers.ContentRange is not { From: 0, HasLength: true }) throw new ModelPullException($"{Name} answers the range '{headers.ContentRange}' where it was asked for its beginning.");
            if (!isRange && length is null && response.Headers.TransferEncodingChunked != true && file is { Sha256: null, Size: null }) throw new ModelPullException($"{Name} says neither how long it is nor where it ends, so that nobody could tell whether it is whole; give its checksum (#sha256=… at the end of the address).");
            if (file.Size is { } listed && length is { } said && said != listed) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} has {said} bytes, and its listing says {listed}."));
            if ((length ?? 0) > RemoteNames.MostBytes) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} says that it has {length} bytes; {RemoteNames.MostBytes} are allowed."));

            await RoomAsync(length, cancellationToken);

            // What nothing pins is read in one go.
            if (isRange && validator is null && file.Sha256 is null && headers.ContentRange!.To + 1 < length) return (PartFile.Create(path, length, null), (HttpResponseMessage?)await WholeAsync(response, cancellationToken));

            var (part, begun) = (PartFile.Create(path, length, validator ?? file.Sha256), response);
            response = null;
            return (part, begun);
        }
        catch
        {
            connections.Release();
            response?.Dispose();
            throw;
        }
    }, static () => false, cancellationToken);

    private PartFile Empty()
    {
        if (file.Size is > 0) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} is empty, and its listing says {file.Size} bytes."));

        var empty = PartFile.Create(path, 0, file.Validator);
        connections.Release();
        return empty;
    }

    private async Task<HttpResponseMessage> WholeAsync(HttpResponseMessage range, CancellationToken cancellationToken)
    {
        range.Dispose();
        var response = await AskAsync(null, null, cancellationToken);
        Demand(response);
        return response.StatusCode == HttpStatusCode.OK ? response : throw new ModelPullException($"{Name} answers {(int)response.StatusCode} where it was asked for all of it.");
    }

    /// <summary>The whole file from one answer. Where it breaks off it begins anew: there is nothing to go on from.</summary>
    private async Task StreamAsync(PartFile part, HttpResponseMessage first, PrefixHash hash, Action<long> count, CancellationToken cancellationToken)
    {
        var round = _rounds.Current;
        try
        {
            using (first)
            {
                var end = await ReadAsync(part, first, 0, part.Length, hash, count, cancellationToken);
                if (file.Size is { } listed && end != listed) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} has {end} bytes, and its listing says {listed}."));
                if (part.Length is null) part.EndAt(end);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or BusyException)
        {
            await _rounds.PauseAsync(exception, round, cancellationToken);
            throw new ChangedException($"it broke off and has no ranges: {exception.Message}", broke: true);
        }
        finally
        {
            connections.Release();
        }
    }

    private async Task RangesAsync(PartFile part, HttpResponseMessage? first, PrefixHash hash, Action<long> count, CancellationToken cancellationToken)
    {
        var missing = new ConcurrentQueue<PartFile.Span>(part.Missing(options.SegmentBytes));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Exception? fault = null;

        // The first that fails stops the others; how those end then, with their connections cut, is not the reason.
        async Task GuardAsync(Func<Task> work)
        {
            try
            {
                await work();
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref fault, exception, null);
                await stop.CancelAsync();
            }
        }

        var workers = new List<Task>();
        if (first is not null && missing.TryDequeue(out var span)) workers.Add(Task.Run(() => GuardAsync(() => FirstAsync(part, first, span, missing, hash, count, stop.Token)), CancellationToken.None));
        var more = Math.Min(options.Connections - workers.Count, missing.Count);
        for (var i = 0; i < more; i++) workers.Add(Task.Run(() => GuardAsync(() => WorkAsync(part, missing, hash, count, stop.Token)), CancellationToken.None));
        await Task.WhenAll(workers);
        cancellationToken.ThrowIfCancellationRequested();
        if (fault is not null) ExceptionDispatchInfo.Throw(fault);
    }

    private async Task FirstAsync(PartFile part, HttpResponseMessage first, PartFile.Span span, ConcurrentQueue<PartFile.Span> missing, PrefixHash hash, Action<long> count, CancellationToken cancellationToken)
    {
        var (at, round) = (span.From, _rounds.Current);
        try
        {
            using (first) await ReadAsync(part, first, 0, span.To, hash, bytes => { at += bytes; count(bytes); }, cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or BusyException)
        {
            if (at < Progress) await _rounds.PauseAsync(exception, round, cancellationToken);
            if (part.Validator is null) throw new ChangedException($"it broke off, and nothing pins what it is: {exception.Message}", broke: true);
        }
        finally
        {
            connections.Release();
        }

        if (at < span.To) await RangeAsync(part, span with { From = at }, hash, count, cancellationToken);
        await WorkAsync(part, missing, hash, count, cancellationToken);
    }

    private async Task WorkAsync(PartFile part, ConcurrentQueue<PartFile.Span> missing, PrefixHash hash, Action<long> count, CancellationToken cancellationToken)
    {
        while (missing.TryDequeue(out var span)) await RangeAsync(part, span, hash, count, cancellationToken);
    }

    /// <summary>One range, asked for again from where it broke off.</summary>
    private async Task RangeAsync(PartFile part, PartFile.Span wanted, PrefixHash hash, Action<long> count, CancellationToken cancellationToken)
    {
        var (at, before) = (wanted.From, wanted.From);
        await _rounds.TryAsync(
            async () =>
            {
                before = at;
                await connections.WaitAsync(cancellationToken);
                try
                {
                    using var response = await AskAsync(wanted with { From = at }, part.Validator, cancellationToken);
                    CheckRange(response, part, at, wanted.To);
                    return await ReadAsync(part, response, at, wanted.To, hash, bytes => { at += bytes; count(bytes); }, cancellationToken);
                }
                finally
                {
                    connections.Release();
                }
            },
            () => at - before >= Math.Min(Progress, wanted.To - before),
            cancellationToken);
    }

    /// <exception cref="ChangedException">These are not the bytes that it began with.</exception>
    private void CheckRange(HttpResponseMessage response, PartFile part, long from, long to)
    {
        if (response.StatusCode is HttpStatusCode.PreconditionFailed or HttpStatusCode.RequestedRangeNotSatisfiable) throw new ChangedException($"it answers {(int)response.StatusCode}");
        Demand(response);
        var validator = Validators.Of(response);
        if (validator is not null && part.Validator is { } began && began != file.Sha256 && validator != began) throw new ChangedException($"its ETag was {began} and is {validator}");
        if (response.StatusCode != HttpStatusCode.PartialContent) throw new ChangedException($"it answers {(int)response.StatusCode} to a range");

        var range = response.Content.Headers.ContentRange;
        if (range?.Length is { } length && length != part.Length) throw new ChangedException(string.Create(CultureInfo.InvariantCulture, $"it had {part.Length} bytes and has {length}"));
        if (range is null || range.From != from || range.To >= to) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} answers the range '{range}' where {from} to {to - 1} was asked for."));
    }

    /// <summary>Reads a body into its place; where it ended. What came before it broke off is kept.</summary>
    /// <exception cref="HttpRequestException">It broke off, said nothing for too long, or ended early.</exception>
    private async Task<long> ReadAsync(PartFile part, HttpResponseMessage response, long at, long? end, PrefixHash hash, Action<long> count, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentEncoding.Any(coding => coding != "identity")) throw new ModelPullException($"{Name} comes as {string.Join(", ", response.Content.Headers.ContentEncoding)}, which was not asked for.");

        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        var unheard = 0L; // a server that drips says nothing
        using var silence = new CancellationTokenSource(options.Timeout, http.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(either.Token);
            while (end is null || at < end)
            {
                var (filled, ended, fault) = (0, false, default(Exception));
                var room = (int)Math.Min(BufferBytes, end is { } last ? last - at : RemoteNames.MostBytes - at);
                if (room == 0) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{Name} does not end after {RemoteNames.MostBytes} bytes."));
                try
                {
                    while (filled < room && !ended)
                    {
                        var read = await body.ReadAsync(buffer.AsMemory(filled, room - filled), either.Token);
                        (filled, unheard, ended) = (filled + read, unheard + read, read == 0);
                        if (unheard < Progress) continue;

                        silence.CancelAfter(options.Timeout);
                        unheard = 0;
                    }
                }
                catch (Exception exception) when (exception is IOException or HttpRequestException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
                {
                    fault = exception;
                }

                if (filled > 0)
                {
                    if (part.Length is null) await RoomAsync(at + filled, cancellationToken);
                    await part.WriteAsync(at, buffer.AsMemory(0, filled), cancellationToken);
                    at += filled;
                    count(filled);
                    hash.Wake();
                }

                if (fault is not null) throw new HttpRequestException(fault is OperationCanceledException ? string.Create(CultureInfo.InvariantCulture, $"{Name} says less than {Progress} bytes in {options.Timeout.TotalSeconds:0.#} s") : $"{Name} broke off: {fault.Message}", fault);
                if (!ended) continue;
                if (end is { } missing && at < missing) throw new HttpRequestException(string.Create(CultureInfo.InvariantCulture, $"{Name} ended {missing - at} bytes early"));
                break;
            }

            return at;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task<HttpResponseMessage> AskAsync(PartFile.Span? range, string? validator, CancellationToken cancellationToken)
    {
        var direct = _direct;
        var address = file.Address();
        void Ask(HttpRequestHeaders headers)
        {
            if (range is { } wanted) headers.Range = new RangeHeaderValue(wanted.From, wanted.To - 1);
            if (range is not null && validator is not null && validator != file.Sha256) headers.IfRange = Validators.IfRange(validator);
        }

        var response = await http.SendAsync(direct ?? address, direct is null || HubHttp.IsOneServer(direct, address) ? file.Token : null, Ask, cancellationToken);
        if (direct is not null && (int)response.StatusCode is 401 or 403 or 404 or 410)
        {
            // Where it led to is of yesterday: a signature ages.
            _direct = null;
            response.Dispose();
            throw new BusyException($"{HubHttp.Shown(direct)} answers {(int)response.StatusCode}", null);
        }

        if (response.IsSuccessStatusCode && response.RequestMessage!.RequestUri is { } led && led.GetLeftPart(UriPartial.Path) != address.GetLeftPart(UriPartial.Path)) _direct = led;
        return response;
    }

    private void Demand(HttpResponseMessage response) => http.Demand(response, file.Name);

    /// <summary>What is here is of no use: the bytes are others now, or it broke off and cannot be gone on with.</summary>
    private sealed class ChangedException(string message, bool broke = false) : Exception(message)
    {
        public bool Broke => broke;
    }
}

using System.Diagnostics;

namespace Serverless.EndToEndTests;

/// <summary>The values of one field of one object, as <c>kubectl get --watch</c> tells them; a value told again is passed over.</summary>
internal sealed class FieldWatch : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _what;
    private string? _first;

    private FieldWatch(Process process, string what) => (_process, _what) = (process, what);

    /// <summary>All values so far, each with when it was told.</summary>
    public List<(string Value, long At)> Seen { get; } = [];

    /// <summary>Watches, once the first value was told: on a busy machine that is a while after the process began, and what happens in it would be missed.</summary>
    public static async Task<FieldWatch> StartAsync(Process process, string what, CancellationToken cancellationToken)
    {
        var watch = new FieldWatch(process, what);
        watch._first = await process.StandardOutput.ReadLineAsync(cancellationToken).AsTask().WithinLimitAsync();
        return watch;
    }

    /// <summary>Waits for the value that <paramref name="matches"/>; those before it are kept in <see cref="Seen"/>.</summary>
    public async Task<string> UntilAsync(Func<string, bool> matches, CancellationToken cancellationToken, TimeSpan? within = null)
    {
        var time = within ?? TestTimeouts.Default;
        using var limit = new CancellationTokenSource(time, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (await NextAsync(either.Token) is { } line)
            {
                if (Seen.Count > 0 && Seen[^1].Value == line) continue;

                Seen.Add((line, TimeProvider.System.GetTimestamp()));
                if (matches(line)) return line;
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
        }

        throw new InvalidOperationException($"{_what} did not become what was awaited within {time.TotalSeconds:F0} s; it was: {string.Join(", ", Seen.Select(seen => seen.Value))}");
    }

    /// <summary>Goes on watching for so long; the values that were told meanwhile are in <see cref="Seen"/>.</summary>
    public async Task ForAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(time, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (await NextAsync(either.Token) is { } line)
            {
                if (Seen.Count == 0 || Seen[^1].Value != line) Seen.Add((line, TimeProvider.System.GetTimestamp()));
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    private ValueTask<string?> NextAsync(CancellationToken cancellationToken)
    {
        if (_first is not { } first) return _process.StandardOutput.ReadLineAsync(cancellationToken);

        _first = null;
        return new(first);
    }
}

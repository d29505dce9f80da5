using Serverless.Batches;

namespace Serverless.Gateway.Batches;

/// <summary>Results that are in no segment yet. Not thread-safe.</summary>
internal sealed class BatchResults : IDisposable
{
    private readonly MemoryStream _outputs = new();
    private readonly MemoryStream _faults = new();
    private readonly List<int> _lines = [];
    private int _failed;
    private int _expired;
    private long _input;
    private long _cached;
    private long _output;

    /// <summary>How many.</summary>
    public int Count => _lines.Count;

    /// <summary>Of those, with an answer.</summary>
    public int Answered => _lines.Count - _failed - _expired;

    /// <summary>Of those, refused or failed.</summary>
    public int Failed => _failed;

    /// <summary>Of those, not run before the window was over.</summary>
    public int Expired => _expired;

    /// <summary>The answers, a line each.</summary>
    public MemoryStream Outputs => _outputs;

    /// <summary>What went wrong, a line each.</summary>
    public MemoryStream Faults => _faults;

    public void Add(LineResult result)
    {
        var stream = result.Outcome == LineOutcome.Answered ? _outputs : _faults;
        stream.Write(result.Line);
        stream.WriteByte((byte)'\n');
        _lines.Add(result.Number);
        if (result.Outcome == LineOutcome.Failed) _failed++;
        if (result.Outcome == LineOutcome.Expired) _expired++;
        if (result.Usage is not { } usage) return;

        (_input, _cached, _output) = (_input + usage.PromptTokens, _cached + usage.CachedTokens, _output + usage.CompletionTokens);
    }

    /// <summary>The progress with these results, which stand in segments of these names (null: there are none of that kind).</summary>
    public BatchProgress AddTo(BatchProgress progress, string? outputs, string? faults) => progress with
    {
        Done = progress.DoneWith(_lines),
        Completed = progress.Completed + Answered,
        Failed = progress.Failed + _failed + _expired,
        Outputs = outputs is null ? progress.Outputs : [.. progress.Outputs, outputs],
        Faults = faults is null ? progress.Faults : [.. progress.Faults, faults],
        InputTokens = progress.InputTokens + _input,
        CachedTokens = progress.CachedTokens + _cached,
        OutputTokens = progress.OutputTokens + _output,
    };

    public void Dispose()
    {
        _outputs.Dispose();
        _faults.Dispose();
    }
}

using System.Diagnostics;

namespace Serverless.Events;

/// <summary>Trace contexts that others name (W3C Trace Context). They go out again with each result and each piece of output, so nothing else may be in them.</summary>
public static class TraceContext
{
    /// <summary>Later versions may have more behind it.</summary>
    private const int Longest = 128;

    /// <summary>Null: it is none, and is passed over, as W3C has it.</summary>
    public static string? Read(string? traceParent) => traceParent?.Length <= Longest && ActivityContext.TryParse(traceParent, null, out _) ? traceParent : null;
}

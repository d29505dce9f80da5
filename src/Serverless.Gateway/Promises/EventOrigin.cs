namespace Serverless.Gateway.Promises;

/// <summary>The event that asked for a request.</summary>
/// <param name="Source">Its source.</param>
/// <param name="Id">Its id there.</param>
/// <param name="TraceParent">Its trace context, or null.</param>
internal sealed record EventOrigin(string Source, string Id, string? TraceParent);

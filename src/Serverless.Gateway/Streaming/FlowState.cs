using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

/// <summary>What one request's flow has come to: for its metrics and its end. Not thread-safe.</summary>
internal sealed class FlowState(RequestId id, RequestKind kind, long arrivedAt)
{
    public RequestId Id { get; } = id;

    public RequestKind Kind { get; } = kind;

    /// <summary>Timestamp of its arrival.</summary>
    public long ArrivedAt { get; } = arrivedAt;

    /// <summary>The model's name, once it is known to be one.</summary>
    public string Model { get; set; } = Telemetry.GatewayMetrics.OtherModel;

    /// <summary>Timestamp of its first output; 0 before.</summary>
    public long FirstOutputAt { get; set; }

    /// <summary>Whether the log is open and has not been seen to end: then it is owed an end.</summary>
    public bool OwesEnd { get; set; }

    public bool Waiting { get; set; }

    /// <summary>Why it failed; null while it has not.</summary>
    public ServingFault? Fault { get; set; }
}

namespace Serverless.Contracts;

/// <summary>
/// Asks for an inference. Published, or sent to the queue of the gateways; the answer is an <see cref="InferenceCompleted"/> or an <see cref="InferenceFailed"/>. The message's own id
/// (<c>MessageId</c>) names the inference: the same message twice, as an outbox or a broker may send it, is one inference.
/// </summary>
/// <remarks>Fields are only ever added, and each may be left out but <see cref="Body"/>: releases work side by side.</remarks>
public sealed record SubmitInference
{
    /// <summary>Which API takes the body, by its name: <c>chat/completions</c> or <c>completions</c>. Default: <c>chat/completions</c>.</summary>
    public string Endpoint { get; init; } = "chat/completions";

    /// <summary>The JSON that the endpoint takes, as text, byte for byte what would be posted: <c>{"model": "…", "messages": […]}</c>.</summary>
    public string Body { get; init; } = "";

    /// <summary>The model, in place of the one that the body names; null: the body's.</summary>
    public string? Model { get; init; }

    /// <summary>Inferences with the same value run one at a time, in order; at most 128 characters. Null: it belongs to none.</summary>
    public string? Conversation { get; init; }

    /// <summary>How urgent it is: <c>realtime</c> (a right that operators give), <c>interactive</c> or <c>batch</c>. Null: as the body's <c>service_tier</c> says, else interactive.</summary>
    public string? Lane { get; init; }

    /// <summary>For how long the answer is wanted, from the moment when it is taken. Null: as the gateway has it.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Given back with every message of this inference: sagas find their instance by it.</summary>
    public Guid? CorrelationId { get; init; }

    /// <summary>Names the inference in place of the <c>MessageId</c>, for who sends the same thing again as a new message; at most 255 characters. Null: the <c>MessageId</c> does.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>On: the answer is an <see cref="InferenceAccepted"/> at once, and the result comes to <see cref="ResultAddress"/>, or is published. Off: the answer is the result. Default: off.</summary>
    public bool ReplyWithId { get; init; }

    /// <summary>Where the result is sent, in place of the response address: <c>exchange:NAME</c> of a receive endpoint. Null: to the response address; where there is none, or <see cref="ReplyWithId"/> is on, it is published.</summary>
    public Uri? ResultAddress { get; init; }

    /// <summary>On: the output comes as <see cref="InferenceDelta"/>s too, while it is made. Default: off.</summary>
    public bool WantDeltas { get; init; }

    /// <summary>Where deltas are sent: <c>exchange:NAME</c> of a receive endpoint. Null: they are published.</summary>
    public Uri? DeltaAddress { get; init; }

    /// <summary>Given back with the result; at most 16 KiB of JSON. Null: nothing.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

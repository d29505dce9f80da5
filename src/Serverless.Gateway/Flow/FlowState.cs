using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Holding;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Waiting;
using Serverless.Requests;

namespace Serverless.Gateway.Flow;

/// <summary>One request on one connection: what it is, and what its flow has come to. Not thread-safe.</summary>
internal sealed class FlowState(HttpContext http, RequestId id, ApiEndpoint api, long arrivedAt)
{
    public HttpContext Http { get; } = http;

    /// <summary>Its own id, or that of the request it turned out to ask for again.</summary>
    public RequestId Id { get; set; } = id;

    public ApiEndpoint Api { get; } = api;

    public EndpointName Kind => Api.Name;

    /// <summary>Timestamp of its arrival.</summary>
    public long ArrivedAt { get; } = arrivedAt;

    /// <summary>The model's name, once it is known to be one.</summary>
    public string Model { get; set; } = Telemetry.GatewayMetrics.OtherModel;

    /// <summary>The request with its body; null for whoever only follows.</summary>
    public InferenceRequest? Request { get; set; }

    /// <summary>Its log's head as it was opened or read.</summary>
    public LogHead? Head { get; set; }

    public AnswerShape? Shape { get; set; }

    public Preferences Preferences { get; set; }

    /// <summary>Under which name its client may ask for it again, or null.</summary>
    public string? IdempotencyKey { get; set; }

    /// <summary>What it waited for when it came.</summary>
    public WaitEstimate Wait { get; set; }

    /// <summary>When it is submitted; null for whoever only follows.</summary>
    public Submission? Submission { get; set; }

    /// <summary>Its submission that is under way, or null.</summary>
    public Task<EnqueueResult>? Submitting { get; set; }

    /// <summary>When its promise is given an id instead; null: never.</summary>
    public DateTimeOffset? PromoteAt { get; set; }

    /// <summary>Whether this connection holds the request, so that its going away counts.</summary>
    public bool Holds { get; set; }

    /// <summary>Whether its end was seen.</summary>
    public bool Ended { get; set; }

    /// <summary>Whether it goes on without this connection: an id promises it, or its client may come back for it.</summary>
    public bool Handed { get; set; }

    /// <summary>Timestamp of its first output; 0 before.</summary>
    public long FirstOutputAt { get; set; }

    /// <summary>Whether it was counted as waiting.</summary>
    public bool Waiting { get; set; }

    /// <summary>Whether a replica has begun with it.</summary>
    public bool Begun { get; set; }

    /// <summary>Why it failed; null while it has not.</summary>
    public ServingFault? Fault { get; set; }
}

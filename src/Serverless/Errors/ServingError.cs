namespace Serverless.Errors;

/// <summary>Why a request was not served: who failed, and when. <see cref="ServingErrors"/> says what each caller is told.</summary>
public enum ServingError
{
    /// <summary>The client's body is not what the endpoint takes: malformed JSON, a wrong type, a value out of range. Found at admission.</summary>
    InvalidRequest,

    /// <summary>The client's body is longer than the gateway reads. Found while reading it.</summary>
    BodyTooLarge,

    /// <summary>The client's content type is not JSON. Found before reading the body.</summary>
    UnsupportedContentType,

    /// <summary>The route exists, the method does not.</summary>
    MethodNotAllowed,

    /// <summary>No such route.</summary>
    RouteNotFound,

    /// <summary>The catalogue has no such model. Found at admission.</summary>
    ModelNotFound,

    /// <summary>The prompt, with at least one token of output, does not fit the model's context. Found at admission.</summary>
    ContextTooLong,

    /// <summary>The backlog of the model is full in requests, tokens or bytes. Found at enqueue; nothing was accepted.</summary>
    QueueFull,

    /// <summary>The request's deadline passed before it ended, queued or running. Found by the dispatcher.</summary>
    DeadlineExceeded,

    /// <summary>No pool of the model can start a replica: it failed to load or no class has capacity.</summary>
    NoCapacity,

    /// <summary>The engine failed this request while running it.</summary>
    EngineFailed,

    /// <summary>The request's output is larger than is kept of one request. Found by the log while it runs, or by the store that was to keep its result.</summary>
    OutputTooLarge,

    /// <summary>Three attempts in a row were lost with their worker without a token: the request is taken to be the cause.</summary>
    Poisoned,

    /// <summary>The log no longer holds what a follower asked to read from.</summary>
    LogExpired,

    /// <summary>Whoever held the request's promise gave it up: the client went away or cancelled.</summary>
    Cancelled,

    /// <summary>This process is stopping and takes no new work.</summary>
    ShuttingDown,

    /// <summary>A store or broker that the request needs cannot be reached: what would need a promise gets none.</summary>
    StoreUnavailable,

    /// <summary>The API key is missing, unknown or revoked. Found before admission.</summary>
    InvalidApiKey,

    /// <summary>The API key is good, but not for this: an admin route asked with a key that is none of an admin. Found before the route.</summary>
    NotPermitted,

    /// <summary>No request of that id is known to this owner: it never was, is forgotten, or is another's.</summary>
    RequestNotFound,

    /// <summary>No file of that id is this owner's: it never was, was deleted, has expired, or is another's.</summary>
    FileNotFound,

    /// <summary>No batch of that id is this owner's: it never was, is forgotten, or is another's.</summary>
    BatchNotFound,

    /// <summary>A file is longer than is kept. Found while receiving it; nothing of it is kept.</summary>
    FileTooLarge,

    /// <summary>The owner's files leave no room for another. Found before or after receiving it; nothing of it is kept.</summary>
    StorageFull,

    /// <summary>An <c>Idempotency-Key</c> came again with another body.</summary>
    IdempotencyConflict,

    /// <summary>What is ahead in the queue takes longer than the client waits. Found at admission; nothing was accepted.</summary>
    DeadlineUnreachable,

    /// <summary>A message of a broker that is no request: not JSON, headers missing, an unknown version. Found by the consumer.</summary>
    MalformedMessage,

    /// <summary>A fault of ours.</summary>
    Internal,
}

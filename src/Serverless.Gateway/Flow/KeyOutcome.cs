namespace Serverless.Gateway.Flow;

/// <summary>What a request's idempotency key came to.</summary>
internal enum KeyOutcome
{
    /// <summary>The key is this request's.</summary>
    Mine,

    /// <summary>It is another's, which this connection follows from now on.</summary>
    Joined,

    /// <summary>It is another's, whose result was sent.</summary>
    Answered,
}

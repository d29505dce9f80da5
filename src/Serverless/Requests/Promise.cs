namespace Serverless.Requests;

/// <summary>Who owes the answer, and so where the request must survive.</summary>
public enum Promise
{
    /// <summary>The gateway that holds the connection keeps the request and submits it again if the way down is lost: a transient message.</summary>
    Connection,

    /// <summary>An id or an acknowledgement was given: on disk before that, a durable message.</summary>
    Id,
}

using Serverless.Requests;

namespace Serverless.Sessions;

/// <summary>What a dispatcher tells a worker.</summary>
public abstract record DispatcherMessage
{
    private DispatcherMessage()
    {
    }

    /// <summary>Run this.</summary>
    /// <param name="Assignment">What to run.</param>
    public sealed record Assign(Assignment Assignment) : DispatcherMessage;

    /// <summary>Stop it: the request has ended elsewhere. Within two engine steps.</summary>
    /// <param name="Id">Which.</param>
    public sealed record Cancel(RequestId Id) : DispatcherMessage;

    /// <summary>Give it back: something more urgent needs the room.</summary>
    /// <param name="Id">Which.</param>
    public sealed record Preempt(RequestId Id) : DispatcherMessage;

    /// <summary>Go on under this fence: append again from after <paramref name="LastSequence"/>.</summary>
    /// <param name="Id">Which.</param>
    /// <param name="Fence">The new right.</param>
    /// <param name="LastSequence">What the log holds.</param>
    public sealed record Refence(RequestId Id, Fence Fence, long LastSequence) : DispatcherMessage;

    /// <summary>Never sent: a link says so of an assignment that it could not read. The worker gives it back as not understood, and the link goes on.</summary>
    /// <param name="Id">Which.</param>
    /// <param name="Attempt">Which attempt; 0 if not even that could be read.</param>
    /// <param name="Reason">What could not be read.</param>
    public sealed record Unreadable(RequestId Id, int Attempt, string Reason) : DispatcherMessage;

    /// <summary>Take no more work; finish what runs and leave.</summary>
    public sealed record Drain : DispatcherMessage;
}

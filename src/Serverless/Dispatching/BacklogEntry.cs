using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>A request in the hands of a dispatcher: its delivery and what fairness charged for it. Not thread-safe.</summary>
internal sealed class BacklogEntry(IRequestDelivery delivery, int expectedOutputTokens)
{
    /// <summary>The newest delivery: a duplicate replaces the one before.</summary>
    public IRequestDelivery Delivery { get; set; } = delivery;

    /// <summary>As it was first delivered: what it was charged and sorted by does not change.</summary>
    public InferenceRequest Request { get; } = delivery.Request;

    /// <summary>Output tokens it is expected to generate over all choices; at most its cap.</summary>
    public int ExpectedOutputTokens { get; } = expectedOutputTokens;

    /// <summary>Tokens it is expected to hold in a KV cache.</summary>
    public long ExpectedTokens => Request.PromptTokens + (long)ExpectedOutputTokens;

    /// <summary>The leaf it waits in or was charged to.</summary>
    public FairNode? Leaf { get; set; }

    /// <summary>Its place among those that wait in the leaf; null when it does not wait there.</summary>
    public LinkedListNode<BacklogEntry>? Place { get; set; }
}

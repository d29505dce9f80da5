namespace Serverless.Inference.Models;

/// <summary>Takes what a pass gives, while its threads are still at work together.</summary>
internal interface ILogitsReader
{
    /// <summary>The logits of the n-th row that wanted them. Called once for each, on any thread of the pass, beside calls for others.</summary>
    void Read(int output, ReadOnlySpan<float> logits, int thread);
}

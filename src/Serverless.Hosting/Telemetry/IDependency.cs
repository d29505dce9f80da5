namespace Serverless.Hosting.Telemetry;

/// <summary>A part outside this process that it cannot do without, as its readiness and the gauge <c>serverless.dependency.up</c> ask for it. Thread-safe.</summary>
public interface IDependency
{
    /// <summary>Of a closed set: a metric's label.</summary>
    string Name { get; }

    /// <summary>What is wrong with it now, in a word or a sentence without secrets; null: it does what it is needed for. Ends in bounded time and does not throw but for cancellation.</summary>
    ValueTask<string?> FindFaultAsync(CancellationToken cancellationToken);
}

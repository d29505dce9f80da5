using Serverless.Documents;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What gateways share: the queue, whose other end is the test, and real stores in memory that the test can take away.</summary>
internal sealed class Backend
{
    public Backend(TimeProvider time)
    {
        Time = time;
        Log = new OutageLog(new MemoryRequestLog(time));
        Documents = new OutageDocuments(new MemoryDocumentStore(time));
        Events = new MemoryEventBus(time, tap: Tap);
        Leases = new MemoryLeases(time);
    }

    public TimeProvider Time { get; }

    public HeldQueue Queue { get; } = new();

    public OutageLog Log { get; }

    public OutageDocuments Documents { get; }

    public MemoryEventBus Events { get; }

    public EventTap Tap { get; } = new();

    public MemoryLeases Leases { get; }

    public static ServingException Away(string what) => new(new ServingFault(ServingError.StoreUnavailable, $"The {what} cannot be reached."));

    /// <summary>The next request to reach the queue.</summary>
    public async Task<HeldRequest> TakeAsync() =>
        new(await Queue.Requests.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TestTimeouts.Default, TimeProvider.System, TestContext.Current.CancellationToken), Log);
}

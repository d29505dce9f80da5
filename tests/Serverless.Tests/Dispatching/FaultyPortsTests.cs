using System.Reflection;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>Each method of each port fails for a while, with each kind of error: everything goes on afterwards, by itself.</summary>
public sealed class FaultyPortsTests
{
    private static readonly Type[] Ports = [typeof(ILeases), typeof(IRequestQueue), typeof(IRequestDelivery), typeof(IRequestLog), typeof(IWorkerSessions), typeof(IEndObserver)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        string[] kinds = [nameof(InvalidOperationException), nameof(ServingError.StoreUnavailable), nameof(ServingError.Internal), nameof(IOException), nameof(OperationCanceledException)];
        foreach (var method in Ports.SelectMany(port => port.GetMethods(BindingFlags.Public | BindingFlags.Instance)).Where(method => !method.IsSpecialName && method.IsAbstract))
        {
            foreach (var kind in kinds) cases.Add($"{method.DeclaringType!.Name}.{method.Name}", kind);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task What_fails_for_ten_seconds_is_forgotten_after_them(string method, string kind)
    {
        var faults = new Faults { What = Exception(kind) };
        var time = new TestClock(TestRequests.Deadline.AddMinutes(-10));
        var (log, queue, sessions, loops) = (new MemoryRequestLog(time), new MemoryRequestQueue(new QueueLimits()), new MemoryWorkerSessions(), new RecordingLoops());
        var leases = new WatchedLeases(FaultyPort<ILeases>.Of(new MemoryLeases(time), faults));
        var ports = new DispatchPorts(
            FaultyPort<IRequestQueue>.Of(queue, faults),
            FaultyPort<IRequestLog>.Of(log, faults),
            FaultyPort<IWorkerSessions>.Of(sessions, faults),
            leases,
            new MemoryDemandFeed(),
            [FaultyPort<IEndObserver>.Of(new RecordingPromises(), faults)],
            new QuietObserver(),
            time);
        using var stop = new CancellationTokenSource();
        var set = new DispatcherSet(new GatewayIdentity("gateway", "memory"), TestCatalog.Of(TestRequests.Model), ports, new Supervisor(time, loops), loops);
        var running = set.RunAsync(stop.Token);
        var working = new WillingWorker(sessions, log).RunAsync(stop.Token);

        await SubmitAsync(); // what is under way when it begins to fail
        faults.Method = method;
        var during = await SubmitAsync();
        for (var second = 0; second < 10; second++) await leases.LookAsync(time);
        faults.Method = null;
        leases.Forget();
        var after = await SubmitAsync();

        foreach (var request in new[] { during, after })
        {
            var ended = EndAsync(request);
            while (!await ended.EndsWithinAsync(TestTimeouts.Turn)) await WatchedLeases.TickAsync(time, leases);
            (await ended).ShouldBeOfType<RequestEvent.Finished>($"{await ended}");
        }

        while (!set.State.HoldsLease || (await queue.DepthAsync(TestRequests.Model, Token)).Requests > 0) await WatchedLeases.TickAsync(time, leases);
        await stop.CancelAsync();
        await running.WithinLimitAsync();
        await working.WithinLimitAsync();

        async Task<InferenceRequest> SubmitAsync()
        {
            var request = TestRequests.New() with { Deadline = TestRequests.Deadline.AddDays(1) };
            await log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
            (await queue.EnqueueAsync(request, Token)).Succeeded.ShouldBeTrue();
            return request;
        }

        async Task<RequestEvent?> EndAsync(InferenceRequest request)
        {
            RequestEvent? last = null;
            await foreach (var logged in log.FollowAsync(request.Id, 0, Token)) last = logged.Event;
            return last;
        }
    }

    private static Exception Exception(string kind) => kind switch
    {
        nameof(ServingError.StoreUnavailable) => new ServingException(new ServingFault(ServingError.StoreUnavailable, "away")),
        nameof(ServingError.Internal) => new ServingException(new ServingFault(ServingError.Internal, "NOPERM this user has no permissions")),
        nameof(IOException) => new IOException("broken"),
        nameof(OperationCanceledException) => new OperationCanceledException("of somebody else's token"),
        _ => new InvalidOperationException("WRONGTYPE"),
    };

    private sealed class QuietObserver : IDispatchObserver
    {
        public void Assigned(InferenceRequest request, string replica, int attempt, TimeSpan waited)
        {
        }

        public void AttemptLost(InferenceRequest request, string replica)
        {
        }

        public void Poisoned(InferenceRequest request) => TestContext.Current.SendDiagnosticMessage($"poisoned: {request.Id}");

        public void Expired(InferenceRequest request) => TestContext.Current.SendDiagnosticMessage($"expired: {request.Id}");

        public void Faulted(ModelName model, Exception exception) => TestContext.Current.SendDiagnosticMessage($"faulted: {exception}");
    }
}

using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Chaos;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Hosting.Redis.Catalog;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Hosting.Redis.Leases;
using Serverless.Hosting.Redis.Log;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>
/// A Redis that answers one process with each kind of error for a while (two seconds; <c>SERVERLESS_ERROR_SECONDS</c> says otherwise, <c>make errors</c> sets a minute), while another
/// process works on it undisturbed. Afterwards everything goes on by itself: nothing was started again and nothing was lost.
/// </summary>
public sealed class RedisErrorTests : IAsyncDisposable
{
    private static readonly TimeSpan Lasts = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("SERVERLESS_ERROR_SECONDS"), out var seconds) ? seconds : 2);

    private readonly List<IAsyncDisposable> _started = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var started in Enumerable.Reverse(_started)) await started.DisposeAsync();
    }

    [Theory]
    [InlineData("-NOPERM this user has no permissions to run the 'evalsha' command")]
    [InlineData("-OOM command not allowed when used memory > 'maxmemory'. script: 2b1c3, on @user_script:7.")]
    [InlineData("-READONLY You can't write against a read only replica. script: 2b1c3, on @user_script:7.")]
    [InlineData("-LOADING Redis is loading the dataset in memory")]
    [InlineData("-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")]
    [InlineData("-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")]
    [InlineData("-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.")]
    [InlineData("-WRONGTYPE Operation against a key holding the wrong kind of value script: 2b1c3, on @user_script:7.")]
    [InlineData("-NOSCRIPT No matching script. Please use EVAL.")]
    [InlineData("-ERR unknown command 'EVALSHA', with args beginning with: ")]
    [InlineData("+OK")] // none at all, but nothing that a caller could do anything with
    public async Task Whatever_Redis_answered_for_a_while_everything_goes_on_by_itself(string answer)
    {
        await using var scene = await OpenAsync();

        scene.Proxy.AnswerAll(answer);
        await scene.LastAsync(isError: answer[0] == '-');

        await scene.GoesOnAsync();
    }

    [Theory]
    [InlineData("-OOM command not allowed when used memory > 'maxmemory'.")]
    [InlineData("-READONLY You can't write against a read only replica.")]
    [InlineData("-NOPERM this user has no permissions to access one of the keys used as arguments")]
    [InlineData("-WRONGTYPE Operation against a key holding the wrong kind of value")]
    public async Task The_same_as_Redis_up_to_6_2_wraps_it(string answer)
    {
        await using var scene = await OpenAsync();

        scene.Proxy.AnswerWrapped(answer);
        await scene.LastAsync(isError: true);

        await scene.GoesOnAsync();
    }

    private async Task<Scene> OpenAsync()
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        var server = await RedisServer.StartNewAsync(Token);
        _started.Add(server);
        var proxy = new RedisProxy(server);
        _started.Add(proxy);
        return await Scene.OpenAsync(server, proxy);
    }

    /// <summary>Two processes: one behind the proxy, one that is not.</summary>
    private sealed class Scene : IAsyncDisposable
    {
        private static readonly ModelName Model = new("tiny");
        private static readonly PoolName Pool = new("tiny-cpu");

        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-errors-");
        private readonly CancellationTokenSource _stop = new();
        private RedisParts _behind = null!;
        private RedisParts _beside = null!;
        private RedisDemandFeed _demandBehind = null!;
        private RedisDemandFeed _demandBeside = null!;
        private RedisCapacityFeed _capacityBehind = null!;
        private RedisCapacityFeed _capacityBeside = null!;
        private RedisCatalogSource _catalog = null!;
        private RedisCatalogPublisher _publisher = null!;
        private RedisLeases _leases = null!;
        private RedisPlanFeed _plans = null!;
        private RedisRequestLog _logBehind = null!;
        private LogScene _appended = null!;
        private LogScene _followed = null!;
        private Lease _lease = null!;
        private Fence _appending;
        private Fence _writing;
        private Task<RequestEvent> _following = null!;
        private Task<PlanUpdate> _planned = null!;
        private string[] _loops = [];

        public required RedisProxy Proxy { get; init; }

        public static async Task<Scene> OpenAsync(RedisServer server, RedisProxy proxy)
        {
            var scene = new Scene { Proxy = proxy };
            scene._beside = await RedisParts.OpenAsync(server, Token);
            scene._behind = await RedisParts.OpenAsync(proxy.Configuration, Token);
            await scene.BeginAsync();
            return scene;
        }

        /// <summary>What stands before, and what waits for it to change.</summary>
        private async Task BeginAsync()
        {
            await WriteAsync("one");
            _publisher = new RedisCatalogPublisher(_beside.Connection, _folder.FullName, TestEngines.Table, new NoModels(), _beside.Loops, TimeProvider.System, NullLogger<RedisCatalogPublisher>.Instance);
            (await _publisher.PublishAsync(Token)).ShouldBeTrue();
            _catalog = await _behind.StartAsync(new RedisCatalogSource(_behind.Connection, TestEngines.Table, _behind.Loops, TimeProvider.System, NullLogger<RedisCatalogSource>.Instance), Token);
            (_demandBehind, _demandBeside) = (await _behind.DemandAsync(Token), await _beside.DemandAsync(Token));
            (_capacityBehind, _capacityBeside) = (await _behind.CapacityAsync(Token), await _beside.CapacityAsync(Token));
            _leases = _behind.Leases();
            _lease = (await _leases.AcquireAsync("held", "behind", TimeSpan.FromHours(1), Token)).ShouldNotBeNull();
            _plans = new RedisPlanFeed(_behind.Connection, TimeProvider.System, NullLogger<RedisPlanFeed>.Instance);
            _planned = FollowPlanAsync();

            _logBehind = _behind.Log();
            _appended = new LogScene(_logBehind, _beside.Log());
            _appending = await _appended.BeginAsync(Token);
            await _appended.AppendAsync(_appending, 0, 1, Token);
            _followed = new LogScene(_beside.Log(), _logBehind);
            _writing = await _followed.BeginAsync(Token);
            _following = _followed.FollowAsync(Token);
            await _followed.AppendAsync(_writing, 0, 1, Token);
            await _followed.SeenAsync(1);
            _loops = Loops();
            _loops.Length.ShouldBe(6, string.Join(", ", _loops));
        }

        /// <summary>Both processes work while one gets nothing but errors.</summary>
        public async Task LastAsync(bool isError)
        {
            var until = TimeProvider.System.GetUtcNow() + Lasts;
            if (isError)
            {
                (await Should.ThrowAsync<ServingException>(async () => await _logBehind.AppendAsync(_appended.Id, _appending, 3, [LogScene.Chunk(1)], Token))).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
                (await Should.ThrowAsync<ServingException>(async () => await _leases.RenewAsync(_lease, TimeSpan.FromHours(1), Token))).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
                (await Should.ThrowAsync<ServingException>(async () => await _leases.ReadAsync("held", Token))).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
                (await _behind.Connection.FindFaultAsync(Token)).ShouldNotBeNull("readiness must tell");
            }

            _demandBehind.Publish(new ModelDemand { Model = Model, At = TimeProvider.System.GetUtcNow(), PendingRequests = 7 });
            _capacityBehind.Publish(new PoolCapacity { Pool = Pool, Ready = 3 });
            _logBehind.Forget(_appended.Id, "gateway-0");
            await _followed.AppendAsync(_writing, 1, 5, Token);
            await WriteAsync("two");
            (await _publisher.PublishAsync(Token)).ShouldBeTrue();
            var plans = new RedisPlanFeed(_beside.Connection, TimeProvider.System, NullLogger<RedisPlanFeed>.Instance);
            (await plans.WriteAsync(1, TimeProvider.System.GetUtcNow(), [new SharedPlan(Model, [], PlannerMemory.Empty, RequestMean.Prior)], Token)).ShouldBeTrue();
            await RealTime.PassAsync(until - TimeProvider.System.GetUtcNow(), Token);
        }

        /// <summary>All of it, within a test's limit and without a hand.</summary>
        public async Task GoesOnAsync()
        {
            Proxy.PassOn();

            (await LogScene.PersistAsync(async () => await _leases.RenewAsync(_lease, TimeSpan.FromHours(1), Token))).ShouldBeTrue("a lease");
            (await LogScene.PersistAsync(async () => await _logBehind.AppendAsync(_appended.Id, _appending, 3, [LogScene.Chunk(1)], Token))).ShouldBe(AppendStatus.Accepted, "an append");
            await _followed.SeenAsync(5);
            await _followed.AppendAsync(_writing, 5, 50, Token);
            await _followed.SeenAsync(50);
            await _beside.Log().EndAsync(_followed.Id, new RequestEvent.Cancelled("enough"), Token);
            (await _following.WithinLimitAsync()).ShouldBeOfType<RequestEvent.Cancelled>();
            await UntilAsync(_demandBeside.WatchAsync(Model, Token), demand => demand.PendingRequests == 7);
            await UntilAsync(_capacityBeside.WatchAsync(Pool, Token), capacity => capacity.Ready == 3);
            (await _planned.WithinLimitAsync()).Plans.Single().Model.ShouldBe(Model);
            await UntilAsync(_catalog.WatchAsync(Token), catalog => catalog.Models.Single().Name.Value == "two");

            // What was told to it directly is told again, not only found in the next sweep.
            _demandBeside.Publish(new ModelDemand { Model = Model, At = TimeProvider.System.GetUtcNow(), PendingRequests = 8 });
            await UntilAsync(_demandBehind.WatchAsync(Model, Token), demand => demand.PendingRequests == 8);
            (await _behind.Connection.FindFaultAsync(Token)).ShouldBeNull();
            Loops().ShouldBe(_loops, "a loop died");
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await ((Task)_planned).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _publisher.Dispose();
            await _behind.DisposeAsync();
            await _beside.DisposeAsync();
            _folder.Delete(recursive: true);
            _stop.Dispose();
        }

        private static async Task UntilAsync<T>(IAsyncEnumerable<T> values, Func<T, bool> matches) =>
            await values.FirstAsync(matches, Token).AsTask().WithinLimitAsync();

        private string[] Loops() => [.. _behind.Loops.Loops.Select(loop => $"{loop.Name} {loop.Subject}").Order(StringComparer.Ordinal)];

        private async Task<PlanUpdate> FollowPlanAsync() => await _plans.WatchAsync(_stop.Token).FirstAsync(update => update.Plans.Count > 0, _stop.Token);

        private Task WriteAsync(string model) => File.WriteAllTextAsync(Path.Combine(_folder.FullName, "all.yaml"), ManifestOf(model), Token);

        private static string ManifestOf(string model) => $"""
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata:
              name: {model}
            spec:
              familyName: test
              source:
                uri: simulated://{model}
              inferenceConfig:
                flavors:
                  - name: cpu
            ---
            apiVersion: inference.llmaz.io/v1alpha1
            kind: Playground
            metadata:
              name: {model}
            spec:
              replicas: 1
              modelClaim:
                modelName: {model}
              backendRuntimeConfig:
                backendName: simulated
            """;
    }
}

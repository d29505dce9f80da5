using Grpc.Core;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Hosting.Dapr;
using Shouldly;

namespace Serverless.Tests.Dapr;

/// <summary>What a failed call of the sidecar says: that it was refused, or only that nobody answered.</summary>
public sealed class DaprCallsTests
{
    [Theory]
    [InlineData(StatusCode.Internal, "failed saving state: the document is too large for the store", false)]
    [InlineData(StatusCode.Internal, "failed saving state: context deadline exceeded", true)]
    [InlineData(StatusCode.Internal, "dial tcp: i/o timeout", true)]
    [InlineData(StatusCode.DeadlineExceeded, "", true)]
    [InlineData(StatusCode.Unavailable, "", true)]
    public async Task A_refusal_is_told_from_silence(StatusCode status, string detail, bool isSilence)
    {
        var calls = new DaprCalls(Options.Create(new DaprOptions()), new TestClock());

        var fault = await Should.ThrowAsync<ServingException>(
            calls.RunAsync<bool>("The store", _ => throw new InvalidOperationException("The client wraps it.", new RpcException(new Status(status, detail))), TestContext.Current.CancellationToken));

        fault.Fault.Error.ShouldBe(ServingError.StoreUnavailable);
        (fault.InnerException is TimeoutException).ShouldBe(isSilence);
    }

    [Fact]
    public async Task Our_own_limit_is_silence()
    {
        var time = new TestClock();
        var call = new DaprCalls(Options.Create(new DaprOptions()), time).RunAsync("The store", _ => new TaskCompletionSource<bool>().Task, TestContext.Current.CancellationToken);

        time.Advance(TimeSpan.FromSeconds(5));

        (await Should.ThrowAsync<ServingException>(call.WithinLimitAsync())).InnerException.ShouldBeOfType<TimeoutException>();
    }
}

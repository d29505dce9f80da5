using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.Holding;
using Serverless.Gateway.Telemetry;
using Serverless.Requests;

namespace Serverless.Gateway.Flow;

/// <summary>What a connection that is done leaves behind. A request that it held and that nobody else answers for is ended, queued or running: nobody would read its output. Thread-safe.</summary>
internal sealed partial class FlowEnd(IRequestLog log, Holds holds, GatewayMetrics metrics, TimeProvider time, ILogger<FlowEnd> logger)
{
    /// <summary>The end of a request's own connection.</summary>
    public async Task EndAsync(FlowState state)
    {
        if (state.Waiting && state.FirstOutputAt == 0) metrics.WaitEnded(state.Model);
        metrics.Closed(state.Kind, state.Model, state.Fault?.Error, time.GetElapsedTime(state.ArrivedAt));
        LogServed(state.Id, state.Model, state.Fault?.Error);
        await LeaveAsync(state);
    }

    /// <summary>The end of any connection to a request.</summary>
    public async Task LeaveAsync(FlowState state)
    {
        if (!state.Holds) return;

        state.Holds = false;
        switch (state)
        {
            case { Ended: true }:
                holds.Drop(state.Id);
                log.Forget(state.Id, state.Head!.Holder);
                break;
            case { Handed: true }:
                holds.Drop(state.Id);
                break;
            case { Fault: { Error: not ServingError.Cancelled } fault }:
                holds.Drop(state.Id);
                await EndAsync(state.Id, new RequestEvent.Failed(fault));
                break;
            default:
                holds.LetGo(state.Id, state.Shape!.Resume, state.Head!.Deadline);
                break;
        }
    }

    /// <summary>Ends a request in its log, as well as can be.</summary>
    public async Task EndAsync(RequestId id, RequestEvent end)
    {
        try
        {
            await log.EndAsync(id, end, CancellationToken.None);
        }
        catch (Exception e)
        {
            LogNotEnded(e, id);
        }
    }

    [LoggerMessage(LogLevel.Debug, "Served {Request} of {Model}; its error: {Error}.")]
    private partial void LogServed(RequestId request, string model, ServingError? error);

    [LoggerMessage(LogLevel.Warning, "Could not end {Request} in its log; it runs on to its deadline.")]
    private partial void LogNotEnded(Exception exception, RequestId request);
}

using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Holding;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Promises;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Gateway.Flow;

/// <summary>
/// A request's way through the gateway, from its first byte to the last of its answer. Thread-safe; one call a request.
/// <code>
///   client ──▶ (a) admit ──▶ open its log ──▶ (b) enqueue ──▶ (g) follow the log ──▶ client
///                 │ refused      │                │ full           │ finished:  the rest of the answer
///                 │              │ its key is     │ prefers        │ failed:    an error body; in a stream an error event and an abort
///                 │              │ another's:     │ an id: 202     │ takes too long: 202 and an id
///                 │              ▼ follow that    ▼                │ client gone, deadline, shutdown: the log is told
///              error body     whatever ends the flow early ends the request too, unless it was handed on ◀──┘
/// </code>
/// </summary>
internal sealed partial class RequestFlow(
    Authenticator authenticator,
    Admitter admitter,
    QueueView queue,
    Submitter submitter,
    Promiser promiser,
    KeyedRequests keyed,
    AnswerLoop answers,
    FlowEnd ending,
    Holds holds,
    GatewayIdentity gateway,
    ShutdownGate shutdown,
    GatewayMetrics metrics,
    IOptions<PromiseOptions> promises,
    TimeProvider time,
    ILogger<RequestFlow> logger)
{
    /// <summary>Serves one request. Never throws: what goes wrong is answered, and what cannot be answered is aborted.</summary>
    public async Task RunAsync(HttpContext http, ApiEndpoint api)
    {
        var state = new FlowState(http, api.NewId(), api, time.GetTimestamp());
        metrics.Opened(api.Name);
        if (http.Request.Headers.TryGetValue("X-Stainless-Retry-Count", out var retries) && retries is not ["0"]) metrics.Retried(api.Name);

        try
        {
            http.Response.Headers["x-request-id"] = state.Id.Value;
            if (await TryBeginAsync(state, http.RequestAborted)) await answers.RunAsync(state, default, state.Shape!.Stream, http.RequestAborted); // (g)
            if (state is { Ended: true, Fault: null, IdempotencyKey: not null }) await keyed.RememberAsync(state, http.RequestAborted);
        }
        catch (Exception e) when (e is IOException || http.RequestAborted.IsCancellationRequested)
        {
            state.Fault = new ServingFault(ServingError.Cancelled, "The client closed the connection.");
        }
        catch (Exception e)
        {
            state.Fault = new ServingFault(ServingError.Internal, "The gateway failed; the request can be sent again.");
            LogFailed(e, state.Id);
            await FaultAnswer.SendAsync(http, state.Fault);
        }
        finally
        {
            await ending.EndAsync(state);
        }
    }

    /// <summary>False once it is answered: refused, promised, or replayed.</summary>
    private async Task<bool> TryBeginAsync(FlowState state, CancellationToken cancellationToken)
    {
        try
        {
            if (shutdown.IsStopping) throw new ServingException(ShutdownGate.Fault);

            var owner = authenticator.Authenticate(state.Http.Request).Owner;
            var admitted = await admitter.AdmitAsync(state.Id, state.Kind, owner, state.Http.Request, cancellationToken); // (a)
            Note(state, admitted);
            return await BeginAsync(state, admitted, cancellationToken); // (b)
        }
        catch (ServingException e)
        {
            state.Fault = e.Fault;
            metrics.Refused(state.Kind, state.Model, e.Fault.Error);
            LogRefused(state.Id, e.Fault.Error, e.Fault.Param);
            await FaultAnswer.SendAsync(state.Http, e.Fault);
            return false;
        }
    }

    private void Note(FlowState state, Admitted admitted)
    {
        var (request, shape) = (admitted.Request, admitted.Shape);
        state.Model = shape.Model;
        state.Request = request;
        state.Shape = shape;
        state.Preferences = admitted.Preferences;
        state.IdempotencyKey = admitted.IdempotencyKey;
        var longest = admitted.Preferences.RespondAsync ? admitted.Preferences.Wait : shape.Stream ? null : promises.Value.LongestSynchronous;
        state.PromoteAt = request.AcceptedAt + longest;
        state.Request = request with
        {
            Holder = gateway.Instance,
            Resumable = shape.Resume > TimeSpan.Zero || longest is not null,
            Shape = ShapeCodec.Encode(shape),
        };
        state.Head = LogHead.Of(state.Request);
    }

    private async Task<bool> BeginAsync(FlowState state, Admitted admitted, CancellationToken cancellationToken)
    {
        var headers = state.Http.Response.Headers;
        if (admitted.Preferences.Resume is not null) headers["Preference-Applied"] = $"resume={state.Shape!.Resume.TotalSeconds:0}";
        if (state.IdempotencyKey is null)
        {
            state.Wait = queue.RequireReachable(admitted.Model, state.Request!);
            QueueView.WriteHeaders(headers, state.Wait);
            if (IsPromisedAtOnce(state))
            {
                await promiser.PromiseAsync(state.Request!, null, null, cancellationToken);
                return await PromisedAsync(state, cancellationToken);
            }

            // The log is opened first: whoever takes the request from the queue finds it.
            await OpenAsync(state, cancellationToken);
            await SubmitAsync(state, cancellationToken);
            return true;
        }

        return await BeginKeyedAsync(state, admitted, cancellationToken);
    }

    /// <summary>Under a key: the log is opened before the key is claimed, so that whoever finds the key taken finds a request to join.</summary>
    private async Task<bool> BeginKeyedAsync(FlowState state, Admitted admitted, CancellationToken cancellationToken)
    {
        await OpenAsync(state, cancellationToken);
        switch (await keyed.ClaimAsync(state, cancellationToken))
        {
            case KeyOutcome.Answered:
                metrics.Repeated(state.Kind);
                return false;
            case KeyOutcome.Joined:
                metrics.Repeated(state.Kind);
                if (!IsPromisedAtOnce(state)) return true;
                var byAnId = state.Head!.Promise == Promise.Id || await promiser.PromoteAsync(state.Request!, state.Head, cancellationToken) == Promotion.Promoted;
                return !byAnId || await PromisedAsync(state, cancellationToken);
            default:
                break;
        }

        try
        {
            state.Wait = queue.RequireReachable(admitted.Model, state.Request!);
            QueueView.WriteHeaders(state.Http.Response.Headers, state.Wait);
            if (!IsPromisedAtOnce(state)) await SubmitAsync(state, cancellationToken);
            else if (await promiser.PromoteAsync(state.Request!, state.Head!, cancellationToken) is not Promotion.Promoted) throw Unavailable();
        }
        catch (ServingException)
        {
            await keyed.ReleaseAsync(state); // nothing was accepted under the key
            throw;
        }

        return !IsPromisedAtOnce(state) || await PromisedAsync(state, cancellationToken);
    }

    private async Task OpenAsync(FlowState state, CancellationToken cancellationToken)
    {
        holds.Take(state.Id);
        state.Holds = true;
        await submitter.OpenAsync(state.Id, state.Head!, cancellationToken);
    }

    /// <summary>Into the queue. One that cannot be reached is tried again while the client waits.</summary>
    private async Task SubmitAsync(FlowState state, CancellationToken cancellationToken)
    {
        state.Submission = submitter.NewSubmission();
        var result = await submitter.EnqueueAsync(state.Request!, cancellationToken);
        if (state.Submission.Submitted(result, time.GetUtcNow()) is { } fault) throw new ServingException(queue.Honest(fault, state.Request!.Model));

        state.Waiting = true;
        metrics.WaitBegan(state.Model);
    }

    private static bool IsPromisedAtOnce(FlowState state) => state.Preferences is { RespondAsync: true } preferences && preferences.Wait == TimeSpan.Zero;

    private async Task<bool> PromisedAsync(FlowState state, CancellationToken cancellationToken)
    {
        state.Handed = true;
        metrics.Promised(state.Kind, state.Model);
        await PromisedAnswer.SendAsync(state, cancellationToken);
        return false;
    }

    private static ServingException Unavailable() =>
        new(new ServingFault(ServingError.StoreUnavailable, "What must be kept for an id cannot be kept now, so none is given and nothing runs; send the request again."));

    [LoggerMessage(LogLevel.Debug, "Refused {Request}: {Error} in {Param}.")]
    private partial void LogRefused(RequestId request, ServingError error, string? param);

    [LoggerMessage(LogLevel.Error, "Failed to serve {Request}; its client is told to send it again.")]
    private partial void LogFailed(Exception exception, RequestId request);
}

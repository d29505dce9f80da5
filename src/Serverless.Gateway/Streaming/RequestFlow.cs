using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Pools;
using Serverless.Gateway.Telemetry;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

/// <summary>
/// A request's way through the gateway, from its first byte to the last of its answer. Thread-safe; one call a request.
/// <code>
///   client ──▶ (a) admit ──▶ open its log ──▶ (b) enqueue ──▶ (g) follow the log ──▶ client
///                 │ refused      │                │ full           │ finished: the rest of the answer
///                 ▼              ▼                ▼                │ failed:   an error body; in a stream an error event and an abort
///              error body     whatever ends the flow early         │ client gone, deadline, shutdown: the log is told
///                             ends the log too ◀───────────────────┘
/// </code>
/// </summary>
internal sealed partial class RequestFlow(
    Admitter admitter,
    IRequestLog log,
    IRequestQueue queue,
    WaitNotice notices,
    ShutdownGate shutdown,
    GatewayMetrics metrics,
    GatewayIdentity gateway,
    IOptions<StreamingOptions> options,
    TimeProvider time,
    ILogger<RequestFlow> logger)
{
    /// <summary>Serves one request. Never throws: what goes wrong is answered, and what cannot be answered is aborted.</summary>
    public async Task RunAsync(HttpContext http, RequestKind kind)
    {
        var state = new FlowState(RequestId.New(kind), kind, time.GetTimestamp());
        http.Response.Headers["x-request-id"] = state.Id.Value;
        metrics.Opened(kind);
        if (http.Request.Headers.TryGetValue("X-Stainless-Retry-Count", out var retries) && retries is not ["0"]) metrics.Retried(kind);

        try
        {
            await ServeAsync(http, state);
        }
        catch (Exception e) when (e is IOException || http.RequestAborted.IsCancellationRequested)
        {
            state.Fault = new ServingFault(ServingError.Cancelled, "The client closed the connection.");
        }
        catch (Exception e)
        {
            state.Fault = new ServingFault(ServingError.Internal, "The gateway failed; the request can be sent again.");
            LogFailed(e, state.Id);
            await AnswerFaultAsync(http, state.Fault);
        }
        finally
        {
            await EndAsync(state);
        }
    }

    private async Task ServeAsync(HttpContext http, FlowState state)
    {
        Admitted admitted;
        try
        {
            if (shutdown.IsStopping) throw new ServingException(ShuttingDown());

            admitted = await admitter.AdmitAsync(state.Id, state.Kind, http.Request, http.RequestAborted); // (a)
            state.Model = admitted.Shape.Model;
            await EnqueueAsync(admitted.Request with { Holder = gateway.Instance }, state, http.RequestAborted); // (b)
        }
        catch (ServingException e)
        {
            state.Fault = e.Fault;
            metrics.Refused(state.Kind, state.Model, e.Fault.Error);
            LogRefused(state.Id, e.Fault.Error, e.Fault.Param);
            await AnswerFaultAsync(http, e.Fault);
            return;
        }

        using var answer = AnswerFor(http, admitted);
        await FollowAsync(admitted.Request, answer, state, http.RequestAborted); // (g)
    }

    /// <summary>The log is opened first: whoever takes the request from the queue finds it.</summary>
    private async Task EnqueueAsync(InferenceRequest request, FlowState state, CancellationToken cancellationToken)
    {
        await log.OpenAsync(request.Id, new LogHead(request.Model, request.Promise, gateway.Instance, request.Deadline), cancellationToken);
        state.OwesEnd = true;

        var result = await queue.EnqueueAsync(request, cancellationToken);
        if (result.Fault is { } fault) throw new ServingException(fault);

        state.Waiting = true;
        metrics.WaitBegan(state.Model);
    }

    /// <summary>Reads the log to its end and renders it. While nothing comes, the clock ticks: notices, the deadline, and the end of a shutdown.</summary>
    private async Task FollowAsync(InferenceRequest request, IAnswer answer, FlowState state, CancellationToken clientGone)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(clientGone);
        await using var events = log.FollowAsync(request.Id, 0, stop.Token).GetAsyncEnumerator(stop.Token);
        using var ticks = new PeriodicTimer(options.Value.FirstNotice, time);
        var tick = ticks.WaitForNextTickAsync(stop.Token).AsTask();
        Task<bool>? next = null;
        try
        {
            do
            {
                next = events.MoveNextAsync().AsTask();
                if (!next.IsCompleted) await answer.FlushAsync(stop.Token);

                while (!next.IsCompleted && await Task.WhenAny(next, tick) == tick)
                {
                    await tick;
                    ticks.Period = options.Value.NoticeInterval;
                    tick = ticks.WaitForNextTickAsync(stop.Token).AsTask();
                    if (Overdue(request) is { } fault)
                    {
                        await FailAsync(answer, state, fault, stop.Token);
                        return;
                    }

                    await answer.NoticeAsync(stop.Token);
                }
            }
            while (await next && await TakeAsync(events.Current, answer, state, stop.Token));
        }
        catch (ServingException e)
        {
            await FailAsync(answer, state, e.Fault, clientGone);
        }
        finally
        {
            // An enumerator must not be disposed while it moves.
            if (next is { IsCompleted: false })
            {
                await stop.CancelAsync();
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Renders one event; false once the request has ended.</summary>
    private async ValueTask<bool> TakeAsync(LoggedEvent logged, IAnswer answer, FlowState state, CancellationToken cancellationToken)
    {
        switch (logged.Event)
        {
            case RequestEvent.Chunk chunk:
                if (state.FirstOutputAt == 0) NoteFirstOutput(state);
                if (answer.TryAppend(logged.Sequence, chunk)) return true;
                await FailAsync(answer, state, new ServingFault(ServingError.Internal, "The engine's output has a gap or a repetition; the request can be sent again."), cancellationToken);
                return false;

            case RequestEvent.Finished finished:
                state.OwesEnd = false;
                await answer.FinishAsync(logged.Sequence, finished.Usage, cancellationToken);
                metrics.Finished(state.Kind, state.Model, finished.Usage, state.FirstOutputAt == 0 ? TimeSpan.Zero : time.GetElapsedTime(state.FirstOutputAt));
                return false;

            case RequestEvent.Failed failed:
                state.OwesEnd = false;
                await FailAsync(answer, state, failed.Fault, cancellationToken);
                return false;

            case RequestEvent.Cancelled:
                state.OwesEnd = false;
                await FailAsync(answer, state, new ServingFault(ServingError.Cancelled, "The request was cancelled."), cancellationToken);
                return false;

            default:
                return true;
        }
    }

    /// <summary>The holder's own watch over what it promised: the dispatcher normally ends an overdue request first.</summary>
    private ServingFault? Overdue(InferenceRequest request)
    {
        if (shutdown.Drained.IsCancellationRequested) return ShuttingDown();
        if (time.GetUtcNow() < request.Deadline + options.Value.NoticeInterval) return null;

        return new ServingFault(
            ServingError.DeadlineExceeded,
            $"The request did not end within its {(request.Deadline - request.AcceptedAt).TotalSeconds:0.#} s; allow more with the header '{ClientHeaders.Timeout}', or ask for fewer tokens.");
    }

    private static async ValueTask FailAsync(IAnswer answer, FlowState state, ServingFault fault, CancellationToken cancellationToken)
    {
        state.Fault = fault;
        await answer.FailAsync(fault, cancellationToken);
    }

    /// <summary>Whatever ends a flow early ends its request, queued or running: nobody would read its output.</summary>
    private async Task EndAsync(FlowState state)
    {
        if (state.Waiting && state.FirstOutputAt == 0) metrics.WaitEnded(state.Model);
        metrics.Closed(state.Kind, state.Model, state.Fault?.Error, time.GetElapsedTime(state.ArrivedAt));
        LogServed(state.Id, state.Model, state.Fault?.Error);
        if (!state.OwesEnd) return;

        RequestEvent end = state.Fault is { Error: not ServingError.Cancelled } fault ? new RequestEvent.Failed(fault) : new RequestEvent.Cancelled("The client went away.");
        try
        {
            await log.EndAsync(state.Id, end, CancellationToken.None);
        }
        catch (Exception e)
        {
            LogNotEnded(e, state.Id);
        }
    }

    private void NoteFirstOutput(FlowState state)
    {
        state.FirstOutputAt = time.GetTimestamp();
        metrics.WaitEnded(state.Model);
        metrics.FirstOutput(state.Kind, state.Model, time.GetElapsedTime(state.ArrivedAt, state.FirstOutputAt));
    }

    private IAnswer AnswerFor(HttpContext http, Admitted admitted) => admitted.Stream
        ? new StreamedAnswer(http, admitted.Shape, () => notices.Describe(admitted.Model, admitted.Request.MaxTotalTokens), time, options.Value.MaxSilence)
        : new WholeAnswer(http, admitted.Shape);

    private static async Task AnswerFaultAsync(HttpContext http, ServingFault fault)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        try
        {
            http.Response.Headers.CacheControl = default;
            await OpenAI.ErrorBody.SendAsync(http, fault, http.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            // The client is gone; there is nobody to tell.
        }
    }

    private static ServingFault ShuttingDown() => new(ServingError.ShuttingDown, "This server is shutting down; send the request again.");

    [LoggerMessage(LogLevel.Debug, "Refused {Request}: {Error} in {Param}.")]
    private partial void LogRefused(RequestId request, ServingError error, string? param);

    [LoggerMessage(LogLevel.Debug, "Served {Request} of {Model}; its error: {Error}.")]
    private partial void LogServed(RequestId request, string model, ServingError? error);

    [LoggerMessage(LogLevel.Error, "Failed to serve {Request}; its client is told to send it again.")]
    private partial void LogFailed(Exception exception, RequestId request);

    [LoggerMessage(LogLevel.Warning, "Could not end {Request} in its log; it runs on to its deadline.")]
    private partial void LogNotEnded(Exception exception, RequestId request);
}

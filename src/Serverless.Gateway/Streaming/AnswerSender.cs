using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Gateway.Requests;
using Serverless.Gateway.Waiting;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

/// <summary>Sends what happens to a request to one connection, as a stream or in one piece. Thread-safe.</summary>
internal sealed class AnswerSender(RequestService requests, WaitNotice notices, ICatalogSource catalog, IOptions<StreamingOptions> options, TimeProvider time)
{
    /// <param name="http">Where it goes.</param>
    /// <param name="ticket">What is answered; told of what goes wrong.</param>
    /// <param name="after">The last part of the stream that the client has.</param>
    /// <param name="stream">Whether it is answered part by part.</param>
    /// <returns>False: nothing was sent, for an id promises it now.</returns>
    public async Task<bool> SendAsync(HttpContext http, Ticket ticket, EventId after, bool stream)
    {
        var cancellationToken = http.RequestAborted;
        using var answer = AnswerFor(http, ticket, after, stream);
        await foreach (var step in requests.FollowAsync(ticket, cancellationToken))
        {
            switch (step.Kind)
            {
                case FollowKind.Event:
                    if (!await TakeAsync(step.Logged, answer, ticket, cancellationToken)) return true;
                    break;

                case FollowKind.Idle:
                    await answer.FlushAsync(cancellationToken);
                    break;

                case FollowKind.ById:
                    return false;

                case FollowKind.Failed:
                    await answer.FailAsync(step.Fault!, cancellationToken);
                    return true;

                default:
                    await answer.NoticeAsync(step.Fault?.Message, cancellationToken);
                    break;
            }
        }

        return true;
    }

    /// <summary>Renders one event; false once the request has ended.</summary>
    private static async ValueTask<bool> TakeAsync(LoggedEvent logged, IAnswer answer, Ticket ticket, CancellationToken cancellationToken)
    {
        switch (logged.Event)
        {
            case RequestEvent.Chunk chunk when answer.TryAppend(logged.Sequence, chunk):
                if (answer.IsFull) await answer.FlushAsync(cancellationToken);
                return true;

            case RequestEvent.Chunk:
                ticket.Fault = RequestFaults.Gap;
                await answer.FailAsync(RequestFaults.Gap, cancellationToken);
                return false;

            case RequestEvent.Finished finished:
                await answer.FinishAsync(logged.Sequence, finished.Usage, cancellationToken);
                return false;

            case { IsTerminal: true }:
                await answer.FailAsync(ticket.Fault!, cancellationToken);
                return false;

            default:
                return true;
        }
    }

    private IAnswer AnswerFor(HttpContext http, Ticket ticket, EventId after, bool stream)
    {
        var shape = ticket.Shape;
        if (!stream) return new WholeAnswer(http, shape);

        var model = catalog.Current.Find(new ModelName(shape.Model));
        var place = new FairPlace(ticket.Request?.Lane ?? Lane.Interactive, ticket.Head.Owner.Organization) { OwnTokens = ticket.Request?.MaxTotalTokens ?? 0, AtMost = ticket.Wait?.TokensAhead };
        return new StreamedAnswer(http, shape, after, () => model is null ? "its model left the catalogue" : notices.Describe(model, place), time, options.Value.MaxSilence);
    }
}

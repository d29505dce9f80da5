using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Inbound;
using Serverless.Gateway.Requests;
using Serverless.Hosting.Dapr;

namespace Serverless.Gateway.EventAdmin;

/// <summary>Takes an event from an operator as it would from the broker, and says at once what became of it. Thread-safe.</summary>
internal sealed class EventDesk(InferenceEventHandler handler, RequestDirectory requests, EventTap tap, IOptions<EventOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);

    /// <summary>The request that the event asks for, at its end if that comes in time. The same event again is the same request.</summary>
    /// <param name="topic">Of which.</param>
    /// <param name="body">The event, in its JSON format.</param>
    /// <param name="wait">How long its end is waited for.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ServingException">It was refused, or is to be sent again.</exception>
    public async Task<RequestRecord> TakeAsync(string topic, ReadOnlyMemory<byte> body, TimeSpan wait, CancellationToken cancellationToken)
    {
        if (!options.Value.AllTopics.Contains(topic, StringComparer.Ordinal))
        {
            throw Invalid($"'{topic}' is no topic whose events are requests here; send on {string.Join(", ", options.Value.AllTopics)}, or have it added to {EventOptions.Section}:{nameof(EventOptions.Topics)}.", "topic");
        }

        var cloudEvent = Read(body);
        tap.Saw(topic, cloudEvent);
        var verdict = await handler.HandleAsync(cloudEvent, cancellationToken);
        if (verdict.Answer != BrokerAnswer.Acknowledge) throw new ServingException(verdict.Fault ?? new ServingFault(ServingError.Internal, "The event was not taken, and no reason was given; send it again."));

        var asked = AskedByEvent.Read(cloudEvent, options.Value);
        using var patience = new CancellationTokenSource(wait, time);
        using var pace = new PeriodicTimer(Pace, time);
        while (true)
        {
            var record = await requests.GetAsync(asked.Owner, asked.Id, cancellationToken);
            if (record.HasEnded || patience.IsCancellationRequested) return record;

            await pace.WaitForNextTickAsync(cancellationToken);
        }
    }

    private static CloudEvent Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            return CloudEventJson.Decode(body);
        }
        catch (InvalidDataException exception)
        {
            throw Invalid(exception.Message, null);
        }
    }

    private static ServingException Invalid(string message, string? param) => new(new ServingFault(ServingError.InvalidRequest, message, param));
}

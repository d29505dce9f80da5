using MassTransit;
using Serverless.Contracts;

namespace Serverless.Samples.Messaging;

/// <summary>What comes to this service's own endpoint.</summary>
internal sealed class Results : IConsumer<InferenceDelta>, IConsumer<InferenceCompleted>, IConsumer<InferenceFailed>
{
    private readonly TaskCompletionSource<object> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<InferenceDelta> _last = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _sequence;

    /// <summary>The endpoint's name.</summary>
    public string Queue { get; } = $"sample-messaging-{Environment.ProcessId}";

    /// <summary>Where others send what is for it.</summary>
    public Uri Address => new($"exchange:{Queue}?autodelete=true");

    /// <summary>Hears the text of each delta.</summary>
    public Action<string> Said { get; set; } = _ => { };

    public Task<object> End => _end.Task;

    public Task<InferenceDelta> Last => _last.Task;

    public Task Consume(ConsumeContext<InferenceDelta> context)
    {
        var delta = context.Message;
        if (delta.Sequence <= _sequence) return Task.CompletedTask; // it came before: at least once

        _sequence = delta.Sequence;
        Said(delta.Text);
        if (delta.IsLast) _last.TrySetResult(delta);
        return Task.CompletedTask;
    }

    public Task Consume(ConsumeContext<InferenceCompleted> context)
    {
        _end.TrySetResult(context.Message);
        return Task.CompletedTask;
    }

    public Task Consume(ConsumeContext<InferenceFailed> context)
    {
        _end.TrySetResult(context.Message);
        _last.TrySetResult(new InferenceDelta { IsLast = true, ErrorCode = context.Message.Code, ErrorMessage = context.Message.Message }); // refused, there are no deltas
        return Task.CompletedTask;
    }
}

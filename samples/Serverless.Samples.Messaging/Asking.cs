using System.Text.Json;
using MassTransit;
using Serverless.Contracts;

namespace Serverless.Samples.Messaging;

/// <summary>A service that asks for inference. It knows a broker and six records.</summary>
internal sealed class Asking(IBusControl bus, Results results)
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    private static string Model => Environment.GetEnvironmentVariable("MODEL") ?? "smollm2-135m-instruct";

    /// <summary>Starts the bus with an endpoint of this service's own, and runs one thing on it.</summary>
    public static async Task<int> RunAsync(Func<Asking, Task<int>> run)
    {
        var broker = new Uri(Environment.GetEnvironmentVariable("RABBITMQ_URL") ?? "amqp://guest:guest@127.0.0.1:5672/");
        var user = broker.UserInfo.Split(':');
        var results = new Results();
        var bus = Bus.Factory.CreateUsingRabbitMq(configure =>
        {
            configure.Host(broker.Host, (ushort)(broker.Port > 0 ? broker.Port : 5672), broker.AbsolutePath is "/" or "" ? "/" : broker.AbsolutePath[1..], host =>
            {
                if (user is not [{ Length: > 0 } name, var password]) return;

                host.Username(name);
                host.Password(password);
            });
            configure.ReceiveEndpoint(results.Queue, endpoint =>
            {
                endpoint.AutoDelete = true; // this service runs once; one that lives has a queue that stays
                endpoint.ConfigureConsumeTopology = false; // what is its own is sent here; nothing that is published for others
                endpoint.ConcurrentMessageLimit = 1; // deltas are in order in the queue: one at a time they stay so
                endpoint.Instance(results);
            });
        });
        using var limit = new CancellationTokenSource(Longest, TimeProvider.System);
        try
        {
            await bus.StartAsync(limit.Token);
            return await run(new Asking(bus, results));
        }
        catch (Exception exception) when (exception is MassTransitException or OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"No answer over {broker.Host}:{broker.Port}: {exception.Message} Is a broker there, and a gateway with MassTransit__Enabled=true?");
            return 1;
        }
        finally
        {
            await bus.StopAsync(CancellationToken.None);
        }
    }

    /// <summary>A request and its response.</summary>
    public async Task<int> AskAsync(string prompt)
    {
        var client = bus.CreateRequestClient<SubmitInference>(RequestTimeout.After(ms: (int)Longest.TotalMilliseconds));
        var response = await client.GetResponse<InferenceCompleted, InferenceFailed>(Ask(prompt));
        return response.Is(out Response<InferenceCompleted>? completed) ? Show(completed.Message) : Show((InferenceFailed)response.Message);
    }

    /// <summary>The output while it is made.</summary>
    public async Task<int> StreamAsync(string prompt)
    {
        results.Said = text => Console.Write(text);
        await SendAsync(Ask(prompt) with { WantDeltas = true, DeltaAddress = results.Address, ResultAddress = results.Address });
        var last = await results.Last.WaitAsync(Longest, TimeProvider.System);
        Console.WriteLine();
        if (last.ErrorCode is not null) return Show(new InferenceFailed { Code = last.ErrorCode, Message = last.ErrorMessage ?? "" });

        Console.WriteLine($"{last.Sequence} deltas");
        return 0;
    }

    /// <summary>An id at once; the result comes to this service's endpoint.</summary>
    public async Task<int> SubmitAsync(string prompt)
    {
        var client = bus.CreateRequestClient<SubmitInference>(RequestTimeout.After(s: 30));
        var response = await client.GetResponse<InferenceAccepted, InferenceFailed>(Ask(prompt) with { ReplyWithId = true, ResultAddress = results.Address });
        if (!response.Is(out Response<InferenceAccepted>? accepted)) return Show((InferenceFailed)response.Message);

        Console.WriteLine($"accepted as {accepted.Message.InferenceId}");
        return await results.End.WaitAsync(Longest, TimeProvider.System) switch
        {
            InferenceCompleted completed => Show(completed),
            InferenceFailed late => Show(late),
            _ => 1,
        };
    }

    /// <summary>Asks, and takes it back by the message's id.</summary>
    public async Task<int> CancelAsync(string prompt)
    {
        var message = NewId.NextGuid();
        await SendAsync(Ask(prompt) with { ResultAddress = results.Address }, message);
        await bus.Publish(new CancelInference { SubmitMessageId = message, Reason = "changed my mind" });
        if (await results.End.WaitAsync(Longest, TimeProvider.System) is InferenceFailed { Code: "request_cancelled" })
        {
            Console.WriteLine("cancelled");
            return 0;
        }

        Console.WriteLine("it had ended before");
        return 0;
    }

    private static SubmitInference Ask(string prompt) => new()
    {
        Body = JsonSerializer.Serialize(new { messages = new[] { new { role = "user", content = prompt } }, max_tokens = 32, temperature = 0 }),
        Model = Model,
        CorrelationId = NewId.NextGuid(),
        Metadata = new Dictionary<string, string>(StringComparer.Ordinal) { ["sample"] = "messaging" },
    };

    private Task SendAsync(SubmitInference asked, Guid? message = null) => bus.Publish(asked, context => context.MessageId = message ?? context.MessageId);

    private static int Show(InferenceCompleted completed)
    {
        if (completed.Body is null) // longer than a message may be
        {
            Console.WriteLine($"GET /v1/requests/{completed.InferenceId} has the answer, {completed.Usage.CompletionTokens} tokens");
            return 0;
        }

        using var answer = JsonDocument.Parse(completed.Body);
        Console.WriteLine(answer.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Console.WriteLine($"{completed.Usage.PromptTokens} + {completed.Usage.CompletionTokens} tokens, {string.Join(", ", completed.FinishReasons)}");
        return 0;
    }

    private static int Show(InferenceFailed failed)
    {
        Console.Error.WriteLine($"{failed.Code}: {failed.Message}{(failed.Retryable ? $" Try again in {failed.RetryAfter?.TotalSeconds ?? 1:0} s." : "")}");
        return 1;
    }
}

using System.Buffers.Binary;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.RateLimiting;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;
using Serverless.Tenancy;

namespace Serverless.Gateway.Admission;

/// <summary>
/// Step (a) of a request's path: checks and completes a call, or refuses it with a reason. Thread-safe.
/// <code>
///   parse ──▶ known model? ──▶ honoured? ──▶ few enough choices? ──▶ short enough in bytes? ──▶ count tokens ──▶ fits context and replica? ──▶ output bounded? ──▶ its lane?
/// </code>
/// What is cheap comes first: a prompt that cannot fit is refused by its length, before the tokenizer sees it.
/// </summary>
internal sealed class Admitter(ICatalogSource catalog, EngineTable engines, ITokenCounter tokens, IOptions<AdmissionOptions> options, TimeProvider time) : IAsyncDisposable
{
    private const int DefaultCompletionTokens = 16;

    /// <summary>A longer body waits for its turn to be read: those that read at once leave half of the cores to what streams.</summary>
    private const int LargeBody = 64 * 1024;

    /// <summary>Large bodies that may wait for their turn; their bytes are bounded apart.</summary>
    private const int MostWaiting = 1024;

    /// <summary>No vocabulary that is in use has a longer token; most of text is four bytes.</summary>
    private const int LongestToken = 256;

    /// <summary>What the log holds of an output token: text, ids, positions, and its part of a record.</summary>
    private const int OutputTokenBytes = 32;

    /// <summary>And of each log-probability: token, bytes, number.</summary>
    private const int LogProbBytes = 32;

    /// <summary>Whoever sends an idempotency key means to ask again when the connection breaks: what runs is not thrown away at once.</summary>
    private static readonly TimeSpan KeyedResume = TimeSpan.FromSeconds(30);

    private static readonly string Version = typeof(Admitter).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    private readonly AdmissionOptions _options = options.Value;

    private readonly ConcurrencyLimiter _large = new(new ConcurrencyLimiterOptions
    {
        PermitLimit = Math.Max(1, Environment.ProcessorCount / 2),
        QueueLimit = MostWaiting,
        QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    });

    /// <summary>Checks and completes a call.</summary>
    /// <exception cref="ServingException">It is refused.</exception>
    public async ValueTask<Admitted> AdmitAsync(Call call, CancellationToken cancellationToken)
    {
        if (call.Body.Length > _options.MaxBodyBytes)
        {
            throw Refused(ServingError.BodyTooLarge, $"The body is {call.Body.Length} bytes; the limit is {_options.MaxBodyBytes}. Shorten the prompt or split the request.");
        }

        if (call.Body.Length <= LargeBody) return Admit(call);

        using var turn = await _large.AcquireAsync(1, cancellationToken);
        if (!turn.IsAcquired) throw Refused(ServingError.QueueFull, $"{MostWaiting} bodies of more than {LargeBody} bytes wait to be read, the limit; send it again later.");

        return Admit(call);
    }

    public ValueTask DisposeAsync() => _large.DisposeAsync();

    private Admitted Admit(Call call)
    {
        var body = call.Body;
        var parsed = BodyParser.Parse(call.Endpoint, ref body);
        var model = catalog.Current.Find(new ModelName(parsed.Model!)) ?? throw UnknownModel(parsed.Model!);
        if (Capabilities.Check(engines, model, body, parsed.Asked) is { } refusal) throw new ServingException(refusal);

        return Complete(call with { Body = body }, model, parsed);
    }

    /// <summary>The same work under the name of the request that asked for it first.</summary>
    public static InferenceRequest As(InferenceRequest request, RequestId id) =>
        request with { Id = id, Seed = request.Seed == SeedOf(request.Id) ? SeedOf(id) : request.Seed };

    private Admitted Complete(Call call, Model model, ParsedBody parsed)
    {
        var (id, endpoint, body) = (call.Id, call.Endpoint, call.Body);
        var choices = parsed.Prompts.Count * parsed.ChoicesPerPrompt;
        if (choices > _options.MaxChoices)
        {
            throw Refused(ServingError.InvalidRequest, $"{parsed.Prompts.Count} prompts × 'n' {parsed.ChoicesPerPrompt} are {choices} choices; the limit is {_options.MaxChoices}. Split the request.", "n");
        }

        var (lane, tier) = LaneOf(call.Lane is { } asked ? TierOf(asked) : parsed.ServiceTier, call.HighestLane);
        var now = time.GetUtcNow();
        var (promptTokens, outputTokens) = FitTokens(call, model, parsed, now);
        BoundOutput(parsed, choices, outputTokens, parsed.Echo && parsed.LogProbs ? promptTokens / parsed.Prompts.Count : 0);

        var request = new InferenceRequest
        {
            Id = id,
            Model = model.Name,
            Endpoint = endpoint,
            Body = body,
            PromptTokens = promptTokens,
            MaxOutputTokens = outputTokens,
            Choices = choices,
            Needs = parsed.Asked.Count == 0 ? [] : EngineFeatures.NamesOf(parsed.Asked.Select(asked => asked.Feature)),
            Lane = lane,
            Owner = call.Owner,
            Conversation = call.Conversation,
            Seed = parsed.Seed is { } seed ? unchecked((ulong)seed) : SeedOf(id),
            AcceptedAt = now,
            Deadline = call.Until ?? now + TimeoutOf(call, parsed.Stream),
        };
        var shape = new AnswerShape
        {
            Id = id,
            Endpoint = endpoint,
            Model = model.Name.Value,
            Created = now.ToUnixTimeSeconds(),
            ServiceTier = tier,
            SystemFingerprint = $"fp_{model.Backend}_{Version}",
            Choices = choices,
            LogProbs = parsed.LogProbs,
            TopLogProbs = parsed.TopLogProbs,
            IncludeUsage = parsed.IncludeUsage,
            Stream = parsed.Stream,
            Keyed = call.IdempotencyKey is not null,
            Resume = call.Resume ?? (call.IdempotencyKey is null ? TimeSpan.Zero : KeyedResume),
            Echo = parsed.Echo ? [.. parsed.Prompts.Select(prompt => JsonSerializer.Deserialize(body.AsSpan(prompt), EchoJson.Default.String)!)] : [],
        };
        return new Admitted(request, model, shape);
    }

    private TimeSpan TimeoutOf(Call call, bool stream)
    {
        var byAnId = call.PromiseAfter is not null;
        var timeout = call.Timeout ?? (stream || byAnId ? null : call.LibraryTimeout) ?? (byAnId ? _options.DefaultAsyncTimeout : _options.DefaultTimeout);
        return timeout < _options.MaxTimeout ? timeout : _options.MaxTimeout;
    }

    /// <summary>Tokens of the prompts and of each choice's output: every prompt fits the context by itself, and all of them one replica, which runs them together.</summary>
    private (int Prompt, int Output) FitTokens(Call call, Model model, ParsedBody parsed, DateTimeOffset now)
    {
        var isChat = call.Endpoint == EndpointName.ChatCompletions;
        var field = isChat ? "messages" : "prompt";
        var least = parsed.PromptsAreTokens ? parsed.PromptBytes : parsed.PromptBytes / LongestToken;
        if (least >= model.ContextTokens)
        {
            var size = parsed.PromptsAreTokens ? $"{least} tokens" : $"{parsed.PromptBytes} bytes of text, so at least {least} tokens";
            throw Refused(ServingError.ContextTooLong, $"The prompt is {size}: the context of '{model.Name}' is {model.ContextTokens} tokens. Shorten the prompt to at most {model.ContextTokens - 1}.", field);
        }

        var count = CountPrompts(call, model, parsed, now);
        var left = model.ContextTokens - count.Longest;
        if (count.IsOverLimit || left < 1)
        {
            var cap = parsed.OutputCap is { } asked ? $"{asked} tokens of output" : "its output";
            throw Refused(
                ServingError.ContextTooLong,
                $"The prompt is at least {count.Longest} tokens and leaves no room for {cap}: the context of '{model.Name}' is {model.ContextTokens} tokens. Shorten the prompt to at most {model.ContextTokens - 1}.",
                field);
        }

        if (Capabilities.LargestReplica(engines, model) is { } room && count.Tokens >= room)
        {
            var prompts = parsed.Prompts.Count == 1 ? "The prompt is" : $"The {parsed.Prompts.Count} prompts are together";
            throw Refused(ServingError.ContextTooLong, $"{prompts} {count.Tokens} tokens; the largest replica of '{model.Name}' holds {room} in its KV cache. Send fewer or shorter prompts in one request.", field);
        }

        return (count.Tokens, (int)Math.Min(left, parsed.OutputCap ?? (isChat ? left : DefaultCompletionTokens)));
    }

    /// <summary>Tokens of all prompts, and of the longest; counting stops where one does not fit.</summary>
    private PromptCount CountPrompts(Call call, Model model, ParsedBody parsed, DateTimeOffset now)
    {
        var limit = model.ContextTokens - 1;
        if (parsed.Prompts.Count == 1) return tokens.CountPrompt(model, call.Endpoint, call.Body, limit, at: now);

        var (all, longest) = (0, 0);
        foreach (var prompt in parsed.Prompts)
        {
            var count = tokens.CountPrompt(model, call.Endpoint, (byte[])[.. "{\"prompt\":"u8, .. call.Body.AsSpan(prompt), .. "}"u8], limit, at: now);
            if (count.IsOverLimit) return count;

            all = checked(all + count.Tokens);
            longest = Math.Max(longest, count.Tokens);
        }

        return new PromptCount(all, longest, false);
    }

    /// <summary>All of it is kept in the log until the deadline, and for a result in a document.</summary>
    private void BoundOutput(ParsedBody parsed, int choices, int outputTokens, int echoedTokens)
    {
        var perToken = OutputTokenBytes + (parsed.LogProbs ? LogProbBytes * (1 + parsed.TopLogProbs) : 0);
        var bytes = (long)choices * (outputTokens + echoedTokens) * perToken;
        if (bytes <= _options.MaxOutputBytes) return;

        var most = (_options.MaxOutputBytes / ((long)choices * perToken)) - echoedTokens;
        var (what, param) = parsed switch
        {
            _ when most <= 0 && echoedTokens > 0 => ("leave 'echo' or 'logprobs' out", "echo"),
            { OutputCap: null } when most > 0 => ($"give a 'max_tokens' of at most {most}", "max_tokens"),
            { TopLogProbs: > 0 } => ("lower 'top_logprobs', 'n' or 'max_tokens'", "top_logprobs"),
            { ChoicesPerPrompt: > 1 } => ("lower 'n' or 'max_tokens'", "n"),
            _ => ("lower 'max_tokens', or send fewer prompts in one request", "max_tokens"),
        };
        throw Refused(
            ServingError.InvalidRequest,
            $"{choices} choices of {outputTokens} tokens{(echoedTokens > 0 ? $" and {echoedTokens} of the prompt" : "")}{(parsed.LogProbs ? $" with {1 + parsed.TopLogProbs} log-probabilities each" : "")} may be {bytes} bytes of output; the limit is {_options.MaxOutputBytes}: {what}.",
            param);
    }

    /// <summary>
    /// The lane of a tier, and the tier as the answer names it: the one really used. Lanes are strict, so the highest is a right of the key; a tier beyond it is refused, as a client that
    /// pays for speed must know that it gets none. Who names no tier has its key's highest lane, but none above interactive.
    /// </summary>
    private static (Lane Lane, string Tier) LaneOf(string? tier, Lane highest)
    {
        var lane = tier switch
        {
            "priority" or "fast" => Lane.Realtime,
            "flex" => Lane.Batch,
            null or "auto" => highest > Lane.Interactive ? highest : Lane.Interactive,
            _ => Lane.Interactive,
        };
        if (lane < highest)
        {
            throw Refused(
                ServingError.NotPermitted,
                $"'service_tier' is '{tier}', which takes the lane {lane.Name()}; the highest lane of this key is {highest.Name()}. Leave it out, or ask an operator for a key whose line has '{ApiKeyTable.LaneRight(lane)}'.",
                "service_tier");
        }

        return (lane, TierOf(lane));
    }

    private static string TierOf(Lane lane) => lane switch { Lane.Realtime => "priority", Lane.Batch => "flex", _ => "default" };

    private static ServingException Refused(ServingError error, string message, string? param = null) => new(new ServingFault(error, message, param));

    /// <summary>Any fixed function of the id does: every attempt, on any machine, draws the same numbers.</summary>
    private static ulong SeedOf(RequestId id)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(id.Value), hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    private ServingException UnknownModel(string name)
    {
        const int Listed = 20;
        var models = catalog.Current.Models;
        var known = models.Count switch
        {
            0 => "the catalogue is empty",
            <= Listed => $"the catalogue has {string.Join(", ", models.Select(model => model.Name.Value))}",
            _ => "see GET /v1/models",
        };
        return new ServingException(new ServingFault(ServingError.ModelNotFound, $"The model '{name}' does not exist; {known}.", "model"));
    }
}

/// <summary>An admitted request: what goes down, and how its answer looks.</summary>
/// <param name="Request">For the queue.</param>
/// <param name="Model">Its model.</param>
/// <param name="Shape">For the renderer.</param>
internal sealed record Admitted(InferenceRequest Request, Model Model, AnswerShape Shape);

/// <summary>Reads a prompt that is to be repeated, without reflection.</summary>
[JsonSerializable(typeof(string))]
internal sealed partial class EchoJson : JsonSerializerContext;

using System.Buffers.Binary;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>Step (a) of a request's path: reads, checks and completes it, or refuses it with a reason. Thread-safe.</summary>
internal sealed class Admitter(ICatalogSource catalog, ITokenCounter tokens, IOptions<AdmissionOptions> options, TimeProvider time)
{
    private const int DefaultCompletionTokens = 16;

    /// <summary>Whoever sends an idempotency key means to ask again when the connection breaks: what runs is not thrown away at once.</summary>
    private static readonly TimeSpan KeyedResume = TimeSpan.FromSeconds(30);

    private static readonly string Version = typeof(Admitter).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    private readonly AdmissionOptions _options = options.Value;

    /// <summary>Checks and completes a call.</summary>
    /// <exception cref="ServingException">It is refused.</exception>
    public Admitted Admit(Call call)
    {
        if (call.Body.Length > _options.MaxBodyBytes)
        {
            throw new ServingException(new ServingFault(ServingError.BodyTooLarge, $"The body is {call.Body.Length} bytes; the limit is {_options.MaxBodyBytes}. Shorten the prompt or split the request."));
        }

        var parsed = BodyParser.Parse(call.Endpoint, call.Body);
        var model = catalog.Current.Find(new ModelName(parsed.Model!)) ?? throw UnknownModel(parsed.Model!);
        if (Capabilities.Check(model, call.Body, parsed.Asked) is { } refusal) throw new ServingException(refusal);

        return Complete(call, model, parsed);
    }

    /// <summary>The same work under the name of the request that asked for it first.</summary>
    public static InferenceRequest As(InferenceRequest request, RequestId id) =>
        request with { Id = id, Seed = request.Seed == SeedOf(request.Id) ? SeedOf(id) : request.Seed };

    private Admitted Complete(Call call, Model model, ParsedBody parsed)
    {
        var (id, kind, body) = (call.Id, call.Endpoint, call.Body);
        var choices = parsed.Prompts.Count * parsed.ChoicesPerPrompt;
        if (choices > _options.MaxChoices)
        {
            throw new ServingException(new ServingFault(
                ServingError.InvalidRequest, $"{parsed.Prompts.Count} prompts × 'n' {parsed.ChoicesPerPrompt} are {choices} choices; the limit is {_options.MaxChoices}. Split the request.", "n"));
        }

        var (promptTokens, longest) = CountPrompts(model, kind, parsed, body);
        var outputTokens = FitContext(model, kind, longest, parsed.OutputCap);
        var (lane, tier) = Serve(parsed.ServiceTier);
        var now = time.GetUtcNow();

        var request = new InferenceRequest
        {
            Id = id,
            Model = model.Name,
            Endpoint = kind,
            Body = body,
            PromptTokens = promptTokens,
            MaxOutputTokens = outputTokens,
            Choices = choices,
            Lane = lane,
            Owner = call.Owner,
            Conversation = call.Conversation,
            Seed = parsed.Seed is { } seed ? unchecked((ulong)seed) : SeedOf(id),
            AcceptedAt = now,
            Deadline = now + TimeoutOf(call, parsed.Stream),
        };
        var shape = new AnswerShape
        {
            Id = id,
            Endpoint = kind,
            Model = model.Name.Value,
            Created = now.ToUnixTimeSeconds(),
            ServiceTier = tier,
            SystemFingerprint = $"fp_{model.Backend}_{Version}",
            Choices = choices,
            LogProbs = parsed.LogProbs,
            TopLogProbs = parsed.TopLogProbs,
            IncludeUsage = parsed.IncludeUsage,
            Stream = parsed.Stream,
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

    /// <summary>Tokens of all prompts, and of the longest: each must fit the context by itself.</summary>
    private (int All, int Longest) CountPrompts(Model model, EndpointName kind, ParsedBody parsed, byte[] body)
    {
        if (parsed.Prompts.Count == 1)
        {
            var only = tokens.CountPrompt(model, kind, body);
            return (only, only);
        }

        var (all, longest) = (0, 0);
        foreach (var prompt in parsed.Prompts)
        {
            var count = tokens.CountPrompt(model, kind, (byte[])[.. "{\"prompt\":"u8, .. body.AsSpan(prompt), .. "}"u8]);
            all = checked(all + count);
            longest = Math.Max(longest, count);
        }

        return (all, longest);
    }

    private static int FitContext(Model model, EndpointName kind, int promptTokens, long? asked)
    {
        var left = model.ContextTokens - promptTokens;
        if (left >= 1) return (int)Math.Min(left, asked ?? (kind == EndpointName.ChatCompletions ? left : DefaultCompletionTokens));

        var cap = asked is { } tokens ? $"{tokens} tokens of output" : "its output";
        throw new ServingException(new ServingFault(
            ServingError.ContextTooLong,
            $"The prompt is {promptTokens} tokens and leaves no room for {cap}: the context of '{model.Name}' is {model.ContextTokens} tokens. Shorten the prompt to at most {model.ContextTokens - 1}.",
            kind == EndpointName.ChatCompletions ? "messages" : "prompt"));
    }

    /// <summary>The lane of a tier, and the tier as the answer names it: the one really used.</summary>
    private static (Lane Lane, string Tier) Serve(string? tier) => tier switch
    {
        "priority" or "fast" => (Lane.Realtime, "priority"),
        "flex" => (Lane.Batch, "flex"),
        _ => (Lane.Interactive, "default"),
    };

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

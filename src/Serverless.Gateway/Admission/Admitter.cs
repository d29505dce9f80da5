using System.Buffers.Binary;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
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

    private static readonly HeaderDictionary EventHeaders = new() { ["Prefer"] = "respond-async" };

    private readonly AdmissionOptions _options = options.Value;

    /// <summary>Reads a request of HTTP.</summary>
    /// <exception cref="ServingException">The request is refused.</exception>
    public async ValueTask<Admitted> AdmitAsync(RequestId id, EndpointName kind, Owner owner, HttpRequest http, CancellationToken cancellationToken) =>
        Admit(id, kind, owner, http.Headers, await RequestBody.ReadAsync(http, _options.MaxBodyBytes, cancellationToken));

    /// <summary>Takes a request that came as an event: promised by an id from the start.</summary>
    /// <exception cref="ServingException">The request is refused.</exception>
    public Admitted AdmitEvent(RequestId id, EndpointName kind, Owner owner, byte[] body)
    {
        if (body.Length > _options.MaxBodyBytes)
        {
            throw new ServingException(new ServingFault(ServingError.BodyTooLarge, $"The body is {body.Length} bytes; the limit is {_options.MaxBodyBytes}. Shorten the prompt or split the request."));
        }

        return Admit(id, kind, owner, EventHeaders, body);
    }

    /// <summary>The same work under the name of the request that asked for it first.</summary>
    public static InferenceRequest As(InferenceRequest request, RequestId id) =>
        request with { Id = id, Seed = request.Seed == SeedOf(request.Id) ? SeedOf(id) : request.Seed };

    private Admitted Admit(RequestId id, EndpointName kind, Owner owner, IHeaderDictionary headers, byte[] body)
    {
        var parsed = BodyParser.Parse(kind, body);
        var model = catalog.Current.Find(new ModelName(parsed.Model!)) ?? throw UnknownModel(parsed.Model!);
        if (Capabilities.Check(model, body, parsed.Asked) is { } refusal) throw new ServingException(refusal);

        return Complete(id, kind, owner, headers, model, parsed, body);
    }

    private Admitted Complete(RequestId id, EndpointName kind, Owner owner, IHeaderDictionary headers, Model model, ParsedBody parsed, byte[] body)
    {
        var choices = parsed.Prompts.Count * parsed.ChoicesPerPrompt;
        if (choices > _options.MaxChoices)
        {
            throw new ServingException(new ServingFault(
                ServingError.InvalidRequest, $"{parsed.Prompts.Count} prompts × 'n' {parsed.ChoicesPerPrompt} are {choices} choices; the limit is {_options.MaxChoices}. Split the request.", "n"));
        }

        var (promptTokens, longest) = CountPrompts(model, kind, parsed, body);
        var outputTokens = FitContext(model, kind, longest, parsed.OutputCap);
        var (lane, tier) = Serve(parsed.ServiceTier);
        var preferences = Preferences.Read(headers);
        var key = ClientHeaders.ReadIdempotencyKey(headers);
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
            Owner = owner,
            Conversation = ClientHeaders.ReadConversation(headers),
            Seed = parsed.Seed is { } seed ? unchecked((ulong)seed) : SeedOf(id),
            AcceptedAt = now,
            Deadline = now + ClientHeaders.ReadTimeout(headers, parsed.Stream, preferences.RespondAsync, _options),
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
            Resume = preferences.Resume ?? (key is null ? TimeSpan.Zero : KeyedResume),
            Echo = parsed.Echo ? [.. parsed.Prompts.Select(prompt => JsonSerializer.Deserialize(body.AsSpan(prompt), EchoJson.Default.String)!)] : [],
        };
        return new Admitted(request, model, shape, preferences, key);
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

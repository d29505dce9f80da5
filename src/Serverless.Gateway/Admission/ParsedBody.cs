namespace Serverless.Gateway.Admission;

/// <summary>What admission and rendering need of a body; everything else stays in its bytes. Filled by one pass, then only read.</summary>
internal sealed class ParsedBody
{
    public string? Model { get; set; }

    public bool Stream { get; set; }

    public bool IncludeUsage { get; set; }

    /// <summary>Where <c>stream_options</c> is, if it was given.</summary>
    public int? StreamOptionsAt { get; set; }

    public int ChoicesPerPrompt { get; set; } = 1;

    public long? MaxTokens { get; set; }

    /// <summary>Wins over <see cref="MaxTokens"/>, its deprecated name.</summary>
    public long? MaxCompletionTokens { get; set; }

    public long? OutputCap => MaxCompletionTokens ?? MaxTokens;

    public long? Seed { get; set; }

    /// <summary>As the client wrote it.</summary>
    public string? ServiceTier { get; set; }

    public bool LogProbs { get; set; }

    public int TopLogProbs { get; set; }

    /// <summary>Where <c>top_logprobs</c> is, if it was given.</summary>
    public int? TopLogProbsAt { get; set; }

    public bool HasMessages { get; set; }

    public bool Echo { get; set; }

    public int? EchoAt { get; set; }

    public int? BestOf { get; set; }

    public int? BestOfAt { get; set; }

    /// <summary>Where each prompt of a completion is, as raw JSON; one for a chat.</summary>
    public List<Range> Prompts { get; } = [];

    /// <summary>Whether the prompts are arrays of token ids.</summary>
    public bool PromptsAreTokens { get; set; }

    /// <summary>Features asked for, and where.</summary>
    public List<(Feature Feature, int Offset)> Asked { get; } = [];
}

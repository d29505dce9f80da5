namespace Serverless.Cli.Client;

/// <summary>One thing a streamed answer says.</summary>
internal abstract record ChatUpdate
{
    private ChatUpdate()
    {
    }

    /// <summary>It waits, and for what.</summary>
    public sealed record Waiting(string For) : ChatUpdate;

    /// <summary>More text.</summary>
    public sealed record Text(string Delta) : ChatUpdate;

    /// <summary>The end.</summary>
    public sealed record Done(string FinishReason, int PromptTokens, int CompletionTokens) : ChatUpdate;
}

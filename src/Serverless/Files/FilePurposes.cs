namespace Serverless.Files;

/// <summary>What files are for, in OpenAI's words.</summary>
public static class FilePurposes
{
    /// <summary>The input of a batch.</summary>
    public const string Batch = "batch";

    /// <summary>What a batch made: no client uploads it.</summary>
    public const string BatchOutput = "batch_output";

    /// <summary>What clients may upload for. All but <see cref="Batch"/> are kept and given back, and used by nothing here.</summary>
    public static IReadOnlyList<string> Uploadable { get; } = [Batch, "assistants", "fine-tune", "vision", "user_data", "evals"];

    /// <summary>Whether such files expire although nobody said when.</summary>
    public static bool Expires(string purpose) => purpose is Batch or BatchOutput;
}

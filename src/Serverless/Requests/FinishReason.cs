namespace Serverless.Requests;

/// <summary>Why a choice ended; OpenAI's words.</summary>
public enum FinishReason
{
    /// <summary>The model ended it or a stop string matched.</summary>
    Stop,

    /// <summary>The cap or the context was reached.</summary>
    Length,
}

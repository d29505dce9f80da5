namespace Serverless.Errors;

/// <summary>What a broker is told about the message whose request failed: the three answers of a Dapr subscription.</summary>
public enum BrokerAnswer
{
    /// <summary>Done with: the outcome is final and has been reported.</summary>
    Acknowledge,

    /// <summary>Deliver it again: the failure passes.</summary>
    Retry,

    /// <summary>To the dead letters, with the reason.</summary>
    DeadLetter,
}

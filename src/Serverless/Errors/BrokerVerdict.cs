namespace Serverless.Errors;

/// <summary>What becomes of a message of a broker, and why.</summary>
/// <param name="Answer">Done with; tried again; or put away with its fault.</param>
/// <param name="Fault">Why it is not done; null: it is, or there is nothing to be said.</param>
public readonly record struct BrokerVerdict(BrokerAnswer Answer, ServingFault? Fault = null)
{
    /// <summary>What it asked for is on disk, or was answered.</summary>
    public static BrokerVerdict Done { get; } = new(BrokerAnswer.Acknowledge);

    /// <summary>It cannot be taken now.</summary>
    public static BrokerVerdict Later(ServingFault fault) => new(BrokerAnswer.Retry, fault);

    /// <summary>It can never be taken.</summary>
    public static BrokerVerdict Refused(ServingFault fault) => new(BrokerAnswer.DeadLetter, fault);

    /// <summary>As the table of errors has it.</summary>
    public static BrokerVerdict Of(ServingFault fault) => new(ServingErrors.Row(fault.Error).Broker, fault);
}

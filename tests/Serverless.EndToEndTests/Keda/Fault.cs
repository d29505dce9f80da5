namespace Serverless.EndToEndTests.Keda;

/// <summary>What befalls one of two scalers.</summary>
public enum Fault
{
    None,

    /// <summary>The process ends without a word.</summary>
    Killed,

    /// <summary>The process is stopped (SIGSTOP): connections stay, nothing is answered.</summary>
    Stopped,

    /// <summary>Every call waits for ever.</summary>
    Hung,

    /// <summary>Every call is answered with an error.</summary>
    Failing,
}

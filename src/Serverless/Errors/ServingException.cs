namespace Serverless.Errors;

/// <summary>A <see cref="ServingFault"/> on a cold path; hot paths return the fault instead.</summary>
public sealed class ServingException : Exception
{
    /// <summary>Wraps <paramref name="fault"/>.</summary>
    public ServingException(ServingFault fault, Exception? inner = null)
        : base((fault ?? throw new ArgumentNullException(nameof(fault))).Message, inner) => Fault = fault;

    /// <summary>What the client is told.</summary>
    public ServingFault Fault { get; }
}

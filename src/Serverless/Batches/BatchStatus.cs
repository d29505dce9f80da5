namespace Serverless.Batches;

/// <summary>Where a batch is, in OpenAI's words (written in snake case).</summary>
/// <remarks><c>validating → failed | in_progress → finalizing → completed</c>; <c>in_progress → expired</c>; from any that is not at its end <c>→ cancelling → cancelled</c>.</remarks>
public enum BatchStatus
{
    /// <summary>Its input is read; nothing runs.</summary>
    Validating,

    /// <summary>Its input is faulty: nothing ran.</summary>
    Failed,

    /// <summary>Its lines run.</summary>
    InProgress,

    /// <summary>All that will run has run; its files are being made.</summary>
    Finalizing,

    /// <summary>Its files are there.</summary>
    Completed,

    /// <summary>Its window was over first. What had run by then is in its output, the rest in its errors.</summary>
    Expired,

    /// <summary>Its owner gave it up; what runs is being ended.</summary>
    Cancelling,

    /// <summary>Given up. What had run by then is in its output.</summary>
    Cancelled,
}

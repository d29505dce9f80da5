namespace Serverless.Inference.Models;

/// <summary>How keys and values are kept in the cache.</summary>
public enum KeyValueFormat
{
    /// <summary>As half floats, rounded to the nearest, of two the even one; beyond their range the largest of them.</summary>
    F16,

    /// <summary>As 8-bit integers with a scale for each token and head: half as large.</summary>
    Q8,

    /// <summary>As they were computed: twice as large as half floats, to compare with exact arithmetic.</summary>
    F32,
}

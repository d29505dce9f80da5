namespace Serverless.Scaling.Planning;

/// <summary>What decoding steps of about this many sequences take.</summary>
/// <param name="Sequences">Their number when first seen.</param>
/// <param name="Seconds">Of one step, smoothed.</param>
/// <param name="Samples">Seen; counted up to a bound.</param>
public readonly record struct LearnedStep(double Sequences, double Seconds, int Samples);

namespace Serverless.Scaling;

/// <summary>What decoding steps of about this many sequences take.</summary>
/// <param name="Sequences">Their mean number.</param>
/// <param name="Seconds">Of one step, smoothed.</param>
/// <param name="Samples">Seen; counted up to a bound.</param>
public readonly record struct LearnedStep(double Sequences, double Seconds, int Samples);
